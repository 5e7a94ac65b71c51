"""Writes chat_goldens.json: what chat templates must render, by Jinja itself.

    python3 make_chat_goldens.py [DIRECTORY OF tokenizer_config.json FOLDERS]

Set up as Hugging Face's tokenizers do it (apply_chat_template): an immutable sandbox, trimmed
blocks, loop controls, `tools` and `documents` there but none. Two kinds of templates: snippets,
written below, each for some part of the language; and those of published models, which are not
carried here (tests read them from the same directory, and skip without it).

Needs Python 3 and python3-jinja2.
"""

import datetime
import json
import os
import sys

import jinja2
import jinja2.ext
import jinja2.sandbox

NOW = datetime.datetime(2024, 7, 26, 9, 5, 3)

CONVERSATIONS = [
    [("user", "Hello")],
    [("system", "Be brief."), ("user", "Hello")],
    [("user", "Hi"), ("assistant", "Hello! How can I help?"), ("user", "What is 2 + 2?")],
    [("system", "You count."), ("user", "1"), ("assistant", "2"), ("user", "3"),
     ("assistant", "4"), ("user", "5")],
    [("system", "  spaces\n"), ("user", "\n Grüße, 世界! \u00a0\n"), ("assistant", "\tok \n"),
     ("user", "'quoted' \"text\" {{ braces }} {% tag %}")],
    [("user", "Think."), ("assistant", "<think>\nHm, well.\n</think>\n\nDone."),
     ("user", "Again."), ("assistant", "<think>\nOnce more.\n</think>\n\nDone again.")],
    [("user", "first"), ("user", "second")],
    [("system", ""), ("user", ""), ("assistant", "")],
    [("assistant", "I begin."), ("user", "Fine.")],
    [("user", "<tool_response>\nno\n</tool_response>"), ("assistant", "yes"), ("user", "so")],
]

SNIPPETS = {
    "whitespace": "a\n  {% if true %}\n  b\n  {% endif %}\nc {%- if true -%}  \n d\n{%- endif %} e\n"
                  "  {# note #}\nf {#- cut -#} g\n{%+ if true +%}\nh{% endif %}\n\n",
    "lines": "{% for m in messages %}\n{{ m.role }}:{{ m['content'] }}\n{% endfor %}\nend\n",
    "raw": "{% raw %}{{ not this }} {% nor this %}{% endraw %}|{%- raw -%}  x {{ {%- endraw %}",
    "literals": "{{ 1 }} {{ 1.5 }} {{ 2.0 }} {{ true }} {{ False }} {{ none }} {{ 'a\\n\\'b\\'' }} "
                "{{ \"\\u00e9\\x41\\q\\\\\" }} {{ 'side' 'by' }} {{ missing }}",
    "arithmetic": "{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 * 3 + 1 }} "
                  "{{ 2 + 3 * 4 }} {{ -2 + 1 }} {{ 1.5 + 1 }} {{ 3 - 2 - 1 }} {{ 1 ~ 2 * 3 }} "
                  "{{ 'a' ~ 1 ~ none }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ true + 1 }}",
    "comparison": "{{ 1 < 2 }} {{ 'b' > 'a' }} {{ 1 == 1.0 }} {{ 1 == true }} {{ 'a' != 'b' }} "
                  "{{ [1, 'x'] == [1, 'x'] }} {{ 2 <= 2 and 3 >= 4 }} {{ 'a' in 'cat' }} "
                  "{{ 'x' not in ['x'] }} {{ 'role' in messages[0] }} {{ none == missing }} "
                  "{{ {'a': 1} == {'a': 1.0} }}",
    "logic": "{{ not true or true }} {{ not (true or true) }} {{ '' or 'b' }} {{ 0 and 1 }} "
             "{{ 'x' and 'y' }} {{ not not 1 }} {{ 'a' if 0 else 'b' }} [{{ 'a' if false }}] "
             "{{ 1 if 0 else 2 if 0 else 3 }} {{ not 'a' is string }}",
    "precedence": "{{ 1 + 2 | string | length }} {{ -3 | string }} {{ 'a' + 'b' | upper }} "
                  "{{ 1 + 1 is odd }} {{ (1 + 1) is even }} {{ 'a' ~ 'b' == 'ab' }} "
                  "{{ 2 * 3 is divisibleby 3 }} {{ 4 is divisibleby(2) and true }}",
    "slices": "{% set l = [0, 1, 2, 3, 4] %}{% for s in [l[1:], l[:-1], l[::-1], l[1:4:2], l[-2:], "
              "l[5:], l[:0], l[3:1:-1], l[10:0:-3], l[:]] %}{{ s | join(',') }};{% endfor %}"
              "{{ 'Grüße'[1:4] }} {{ 'Grüße'[::-1] }} {{ 'Grüße'[2] }} {{ 'abc'[-1] }} {{ l[-1] }}"
              "[{{ l[7] }}]",
    "loop": "{% for m in messages %}{{ loop.index }}/{{ loop.length }} {{ loop.index0 }} "
            "{{ loop.revindex }} {{ loop.revindex0 }} {{ loop.first }} {{ loop.last }} "
            "{{ loop.previtem.role if not loop.first }}>{{ loop.nextitem.role if not loop.last }}"
            "\n{% else %}none{% endfor %}",
    "loop_else": "{% for x in [] %}x{% else %}empty{% endfor %}{% for x in missing %}x{% else %}!"
                 "{% endfor %}{% for x in [1] %}x{% else %}no{% endfor %}",
    "loop_filter": "{% for m in messages if m.role == 'user' %}{{ loop.index }}{{ loop.last }}:"
                   "{{ m.content }};{% else %}no users{% endfor %}",
    "loop_control": "{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}"
                    "{% if i > 4 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "loop_nested": "{% for a in [1, 2] %}{% for b in 'xy' %}{{ a }}{{ b }}{{ loop.index }}"
                   "{% endfor %}{{ loop.index }}{% endfor %}",
    "unpack": "{% for k, v in {'a': 1, 'b': [2]}.items() %}{{ k }}={{ v is string }};{% endfor %}"
              "{% set x, y = 1, 2 %}{{ x }}{{ y }}{% for (a, b) in [(1, 2)] %}{{ a + b }}{% endfor %}"
              "{% for k, v in messages[0] | items %}{{ k }}:{{ v }},{% endfor %}",
    "scopes": "{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}"
              "{% for i in [1, 2] %}{% set x = x + 10 %}{{ x }};{% endfor %}{{ x }}"
              "{% set ns = namespace(x=0, y='a') %}{% for i in [1, 2] %}{% set ns.x = ns.x + i %}"
              "{% endfor %}{{ ns.x }}{{ ns.y }}[{{ ns.z }}]",
    "set_block": "{% set t %}  a{{ 1 }}\n b {% endset %}[{{ t }}|{{ t | trim }}]",
    "macro": "{% set g = 'G' %}{% macro hail(name, mark='!') %}{{ g }} {{ name }}{{ mark }}"
             "{% endmacro %}{{ hail('a') }} {{ hail('b', '?') }} {{ hail(mark='.', name='c') }} "
             "{{ hail('d') | upper }}[{{ hail() }}]",
    "tests": "{{ 'a' is string }} {{ 1 is string }} {{ 1 is number }} {{ 1.0 is float }} "
             "{{ true is boolean }} {{ true is integer }} {{ none is none }} {{ x is defined }} "
             "{{ x is undefined }} {{ x is not defined }} {{ messages is iterable }} "
             "{{ messages[0] is mapping }} {{ 'a' is iterable }} {{ 1 is iterable }} "
             "{{ [] is sequence }} {{ 3 is odd }} {{ 3 is even }} {{ 1 is eq 1 }} "
             "{{ 'a' is in ['a'] }} {{ true is true }} {{ 1 is true }} {{ false is false }} "
             "{{ range is callable }} {{ tools is none }} {{ 'b' is ne('a') }}",
    "methods": "{{ '  a b '.strip() }}|{{ '  a '.lstrip() }}|{{ ' a  '.rstrip() }}|"
               "{{ 'xxaxx'.strip('x') }}|{{ 'a,b,c'.split(',') | join(' ') }}|"
               "{{ 'a,b,c'.split(',', 1)[1] }}|{{ ' a  b '.split() | length }}|"
               "{{ 'abc'.startswith('ab') }}|{{ 'abc'.endswith(('x', 'bc')) }}|"
               "{{ 'aXa'.replace('a', 'bb') }}|{{ 'aaa'.replace('a', 'b', 2) }}|"
               "{{ 'über'.upper() }}|{{ 'ÜBER'.lower() }}|{{ 'hello world'.title() }}|"
               "{{ 'hELLO'.capitalize() }}|{{ 'héllo'.find('l') }}|{{ 'a'.find('z') }}|"
               "{{ 'banana'.count('an') }}|{{ '-'.join(['a', 'b']) }}|{{ {'a': 1}.get('a') }}|"
               "{{ {'a': 1}.get('b') }}|{{ {'a': 1}.get('b', 2) }}|{{ {'a': 1}.keys() | list | "
               "join }}|{{ {'a': 1}.values() | list | first }}|{{ ''.split(',') | length }}",
    "filters": "{{ ' x ' | trim }}|{{ 'xax' | trim('x') }}|{{ 'Grüße' | length }}|"
               "{{ [1, 2] | count }}|{{ 'ab' | upper }}|{{ 'AB' | lower }}|{{ x | default('d') }}|"
               "{{ '' | default('d') }}|{{ '' | default('d', true) }}|{{ x | d }}|"
               "{{ [1, 2] | join('+') }}|{{ 'abc' | list | last }}|{{ 'abc' | first }}|"
               "{{ [] | first }}|{{ '42' | int + 1 }}|{{ 'x' | int }}|{{ '3.9' | int }}|"
               "{{ 'x' | int(7) }}|{{ 3.7 | int }}|{{ 1 | string + '1' }}|"
               "{{ 'aXbX' | replace('X', '-') }}|{{ 'abc' | reverse }}|"
               "{{ [1, 2, 3] | reverse | join }}|{{ 'a' | safe }}|{{ 'hello' | capitalize }}|"
               "{{ messages | map(attribute='role') | join(',') }}|"
               "{{ ['a', 'b'] | map('upper') | join }}|"
               "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}|"
               "{{ messages | rejectattr('role', '==', 'user') | list | length }}|"
               "{{ [0, 1, '', 'a'] | select | list | length }}|"
               "{{ [1, 2, 3] | select('odd') | join }}|{{ [1, 2, 3] | reject('odd') | join }}|"
               "{{ 'a\\nb\\n\\nc' | indent }}|{{ 'a\\nb' | indent(2, true) }}|{{ 1 | float }}",
    "json": "{{ {'a': [1, 2.5, true, none], 'b': {'c': 'é\"\\n\\\\'}, 'd': [], 'e': {}} | tojson }}\n"
            "{{ {'a': [1, {'b': 2}], 'c': []} | tojson(indent=2) }}{{ messages | tojson }}",
    "json_arguments": "{% set d = {'b': [1, 'é😀'], 'a': {'d': 1, 'c': none}} %}"
                      "{{ d | tojson(separators=(',', ':')) }}|{{ d | tojson(true) }}|"
                      "{{ d | tojson(ensure_ascii=True, sort_keys=true) }}|"
                      "{{ d | tojson(indent='> ', separators=('; ', ' = ')) }}|"
                      "{{ d | tojson(indent=0) }}|{{ d | tojson(false, 1, none, true) }}|"
                      "{{ 'inf' | float | tojson }}|{{ '\\x7f\\x01' | tojson }}",
    "sorting": "{{ ['b', 'A', 'c', 'B'] | sort | join }}|{{ ['b', 'A'] | sort(reverse=true) | join }}|"
               "{{ ['b', 'A', 'B', 'a'] | sort(case_sensitive=true) | join }}|"
               "{{ [3, 1.5, true] | sort | join(',') }}|"
               "{{ messages | sort(attribute='content') | map(attribute='content') | join(',') }}|"
               "{% for k, v in {'b': 1, 'C': 0, 'a': 2} | dictsort %}{{ k }}{{ v }}{% endfor %}|"
               "{% for k, v in {'b': 1, 'C': 0} | dictsort(true, 'value', reverse=true) %}"
               "{{ k }}{{ v }}{% endfor %}|"
               "{{ ['a', 'A', 'b', 'a'] | unique | join }}|"
               "{{ ['a', 'A', 'b', 'a'] | unique(true) | join }}|"
               "{{ messages | unique(attribute='role') | map(attribute='role') | join(',') }}",
    "arguments": "{{ messages | join('-', attribute='role') }}|{{ [{'a': {'b': [7]}}] | "
                 "map(attribute='a.b.0') | join }}|{{ [{}] | map(attribute='x', default='y') | join }}|"
                 "{{ ['aXa', 'X'] | map('replace', 'X', 'b') | join }}|"
                 "{{ ['1', 'z'] | map('int', default=5) | join }}|{{ x | default(default_value='d') }}|"
                 "{{ '' | default(boolean=true, default_value='e') }}|{{ 'a b a' | replace('a', 'c', 1) }}|"
                 "{{ 'a\\nb\\n\\n' | indent(width=1, blank=true) }}|{{ 'xay' | trim(chars='xy') }}|"
                 "{{ dict({'a': 1}, b=2) | tojson }}|{{ namespace({'a': 1}, b=2).b }}|"
                 "{{ -3 | abs }}|{{ '2.5' | float }}|{{ 'q' | float(1) }}|"
                 "{{ 'a b c'.split(sep=' ', maxsplit=1) | last }}|{{ range(5, 0, -2) | join }}",
    "order": "{{ 1 is lt 2 }}{{ 2 is gt(3) }}{{ 2 is le 2 }}{{ 2 is ge 3 }}{{ 'a' is lessthan 'b' }}"
             "{{ [3, 1, 2] | select('gt', 1) | join }}{{ -7 % 3 }}{{ 7 % -3 }}{{ -7 // 2 }}"
             "{{ (-9223372036854775807 - 1) % 3 }}",
    "loop_more": "{% for a in 'xyz' %}{{ loop.cycle('1', '2') }}{{ loop.depth }}{{ loop.depth0 }}"
                 "{% for b in {'k': 1} %}{{ loop.depth }}{{ b }}{{ loop.previtem is defined }}"
                 "{% endfor %}{{ loop.nextitem | default('-') }};{% endfor %}",
    "date": "{{ strftime_now('%d %b %Y') }} {{ strftime_now('%Y-%m-%d %H:%M:%S') }}",
    "thinking": "{{ enable_thinking is defined }}{% if enable_thinking is defined and "
                "enable_thinking is false %} off{% endif %}",
    "prompt": "{{ bos_token }}{% if add_generation_prompt %}go{% else %}{{ eos_token }}{% endif %}",
    "generation": "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %};"
                  "{% endfor %}",
    "no_tools": "{% if tools %}{{ tools }}{% endif %}{% if tools is not none %}T{% endif %}ok",
    "raise": "{% if messages[0].role == 'system' %}{{ raise_exception('no system here') }}"
             "{% endif %}fine",
    "carriage": "a\r\n{% if true %}\r\nb\r\n{% endif %}\r\n",
    "undefined_operand": "{{ missing + 'a' }}",
    "undefined_attribute": "{{ missing.a }}",
    "none_element": "{{ none + 1 }}",
}

# Folder, file, and the special tokens as that model's tokenizer has them.
PUBLISHED = [
    ("chat_templates/gemma", "tokenizer_config.json"),
    ("chat_templates/gemma-3-chat", "chat_template.json"),
    ("chat_templates/llama3.2-vision", "tokenizer_config.json"),
    ("chat_templates/nvidia-mistral", "tokenizer_config.json"),
    ("chat_templates/phi-3-medium", "tokenizer_config.json"),
    ("chat_templates/phi-3-mini", "tokenizer_config.json"),
    ("chat_templates/phi-4-base", "tokenizer_config.json"),
    ("chat_templates/phi-4-mini", "tokenizer_config.json"),
    ("chat_templates/qwen2.5", "tokenizer_config.json"),
    ("chat_templates/qwen3", "tokenizer_config.json"),
    ("hf/mistral_v0.1", "tokenizer_config.json"),
    ("hf/phi-3", "tokenizer_config.json"),
]


class Generation(jinja2.ext.Extension):
    """{% generation %}, which marks an assistant's words for training and renders them alone."""

    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def render(source, conversation, prompt, thinking, bos, eos):
    variables = {"messages": [{"role": r, "content": c} for r, c in CONVERSATIONS[conversation]],
                 "tools": None, "documents": None, "add_generation_prompt": prompt,
                 "bos_token": bos, "eos_token": eos}
    if thinking is not None:
        variables["enable_thinking"] = thinking
    golden = {"conversation": conversation, "prompt": prompt}
    if thinking is not None:
        golden["thinking"] = thinking
    try:
        golden["text"] = environment().from_string(source).render(**variables)
    except (jinja2.exceptions.TemplateError, TypeError) as error:
        golden["error"] = str(error)
    return golden


def token_text(config, key):
    token = config.get(key)
    return token["content"] if isinstance(token, dict) else token or ""


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "../../../shared/data/tokenizers")
    templates = []
    for name, source in SNIPPETS.items():
        goldens = [render(source, c, True, None, "<s>", "</s>") for c in (0, 3)]
        if name in ("thinking", "prompt"):
            goldens += [render(source, 0, False, False, "<s>", "</s>")]
        templates.append({"name": name, "source": source, "bos": "<s>", "eos": "</s>",
                          "goldens": goldens})
    for folder, file in PUBLISHED:
        with open(os.path.join(root, folder, "tokenizer_config.json"), encoding="utf-8") as f:
            config = json.load(f)
        with open(os.path.join(root, folder, file), encoding="utf-8") as f:
            source = json.load(f)["chat_template"]
        bos, eos = token_text(config, "bos_token"), token_text(config, "eos_token")
        goldens = [render(source, c, True, None, bos, eos) for c in range(len(CONVERSATIONS))]
        goldens.append(render(source, 3, False, None, bos, eos))
        if "enable_thinking" in source:
            goldens.append(render(source, 2, True, False, bos, eos))
        templates.append({"name": folder, "file": f"data/tokenizers/{folder}/{file}", "bos": bos,
                          "eos": eos, "goldens": goldens})
    conversations = [[{"role": r, "content": c} for r, c in m] for m in CONVERSATIONS]
    with open(os.path.join(here, "chat_goldens.json"), "w", encoding="utf-8") as f:
        json.dump({"conversations": conversations, "templates": templates}, f, ensure_ascii=False,
                  indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
