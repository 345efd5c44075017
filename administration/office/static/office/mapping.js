// Shows what the mapping makes of the first rows while it is typed. Without this script the effect shows the same.
(function () {
  "use strict";
  var text = document.getElementById("id_text"), chosen = document.getElementById("id_delivery"), preview = document.getElementById("preview");
  if (!text || !preview || !preview.dataset.address || !window.fetch) { return; }
  var token = text.form.querySelector("input[name=csrfmiddlewaretoken]").value, timer = null, asked = 0;
  function look() {
    var body = new FormData(), mine = ++asked;
    body.append("text", text.value); body.append("delivery", chosen ? chosen.value : "");
    preview.setAttribute("aria-busy", "true");
    fetch(preview.dataset.address, { method: "POST", credentials: "same-origin", headers: { "X-CSRFToken": token }, body: body })
      .then(function (answer) { return answer.ok ? answer.text() : null; })
      .then(function (html) { if (html !== null && mine === asked) { preview.innerHTML = html; } })
      .catch(function () { /* the next change asks again */ })
      .then(function () { if (mine === asked) { preview.removeAttribute("aria-busy"); } });
  }
  function soon() { window.clearTimeout(timer); timer = window.setTimeout(look, 600); }
  text.addEventListener("input", soon);
  if (chosen) { chosen.addEventListener("change", look); }
}());
