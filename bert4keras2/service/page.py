"""The page of a task's service: one file, nothing from elsewhere."""

from __future__ import annotations

import html
from typing import Any

from bert4keras2.service.fields import Field

__all__ = ["page_of"]

# What an address says after "?" fills the fields and is answered at once: an answer can be linked to.
_PAGE = """<!DOCTYPE html>
<html lang="zh"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font-family: system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
h1 {{ font-size: 1.3rem; }} p.about {{ color: #666; font-size: 0.9rem; overflow-wrap: anywhere; }}
label {{ display: block; margin-top: 0.8rem; font-size: 0.85rem; color: #444; }}
textarea {{ width: 100%; box-sizing: border-box; font: inherit; padding: 0.5rem; border: 1px solid #bbb;
  border-radius: 0.4rem; }}
button {{ margin: 1rem 0; font: inherit; padding: 0.45rem 1.4rem; border: 0; border-radius: 0.4rem;
  background: #2563a8; color: white; cursor: pointer; }} button:disabled {{ background: #999; }}
#answer {{ min-height: 3rem; }} .error {{ color: #b3261e; }}
details {{ margin-top: 1rem; font-size: 0.85rem; }} pre {{ white-space: pre-wrap; overflow-wrap: anywhere; }}
</style></head>
<body>
<h1>{title}</h1><p class="about">{about}</p>
<form id="form">{fields}
<button id="send">预测 predict</button></form>
<div id="answer" aria-live="polite"></div>
<details><summary>JSON</summary><pre id="json"></pre></details>
<script>
const form = document.getElementById("form"), answer = document.getElementById("answer");
const send = document.getElementById("send"), json = document.getElementById("json");
async function draw() {{
  send.disabled = true;
  try {{
    const row = Object.fromEntries(new FormData(form));
    const said = await fetch("draw", {{
      method: "POST", headers: {{"Content-Type": "application/json"}}, body: JSON.stringify(row)
    }});
    const body = await said.json();
    if (body.code) throw new Error(body.desc);
    answer.innerHTML = body.data.html;
    json.textContent = JSON.stringify(body.data.answer, null, 1);
  }} catch (error) {{
    const line = document.createElement("p");
    line.className = "error"; line.textContent = error.message;
    answer.replaceChildren(line); json.textContent = "";
  }} finally {{ send.disabled = false; }}
}}
form.addEventListener("submit", event => {{ event.preventDefault(); draw(); }});
form.addEventListener("keydown", event => {{
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {{ event.preventDefault(); draw(); }}
}});
const given = new URLSearchParams(location.search);
for (const area of form.querySelectorAll("textarea")) if (given.has(area.name)) area.value = given.get(area.name);
if ([...given].length) draw();
</script></body></html>
"""
MOST_LABELS = 30


def page_of(task: Any, fields: list[Field]) -> str:
    """Return the page.

    Args:
        task: which is served.
        fields: those that the page asks for.
    """
    labels = task.labels or []
    named = ", ".join(labels[:MOST_LABELS]) + (f" … ({len(labels)})" if len(labels) > MOST_LABELS else "")
    config = task.transformer.config
    about = f"{config.family}, {config.num_hidden_layers} × {config.hidden_size}" + (f": {named}" if named else "")
    areas = "".join(
        f'<label for="{field.name}">{html.escape(field.title)}</label>'
        f'<textarea id="{field.name}" name="{field.name}" rows="{field.lines}">{html.escape(field.example)}</textarea>'
        for field in fields
    )
    return _PAGE.format(title=type(task).__name__, about=html.escape(about), fields=areas)
