"""Reads what schema_cases prints: is the schema one, and do it and our loader agree on every config?"""
import json
import sys

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

passed = failed = 0


def check(right, what):
    global passed, failed
    passed, failed = passed + bool(right), failed + (not right)
    if not right and failed <= 20:
        print("FAILED:", what)


def properties(node):
    if isinstance(node, dict):
        for key, value in node.get("properties", {}).items() if isinstance(node.get("properties"), dict) else ():
            yield key, value
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from properties(value)


def widget(p):
    return "x-widget" in p or "$ref" in p or "const" in p or any(widget(q) for q in p.get("anyOf", ()))


lines = sys.stdin.buffer.read().decode("utf-8").rstrip("\n").split("\n")
schema = json.loads(lines[0])
Draft202012Validator.check_schema(schema)
check(True, "the schema is one")
validator = Draft202012Validator(schema)
for name, part in schema["$defs"].items():
    for key, p in properties(part):
        check(key == "version" or p.get("readOnly") or widget(p), f"{name}.{key} has a widget")
        if "default" in p:
            own = validator.evolve(schema={**p, "$defs": schema["$defs"]})
            check(own.is_valid(p["default"]), f"default of {name}.{key}")
accepted = 0
for i, line in enumerate(lines[1:]):
    case = json.loads(line)
    error = best_match(validator.iter_errors(case["config"]))
    says = f"{error.json_path}: {error.message}"[:300] if error else ""
    accepted += error is None
    both = f"loader: {case['problem'] or 'fine'}; validator: {says or 'fine'}"
    check((error is None) == (case["problem"] == ""), f"case {i}: {both}")
if "--both" in sys.argv:
    check(0.2 < accepted / len(lines[1:]) < 0.8, f"{accepted} accepted of {len(lines) - 1}: both kinds are tried")
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
