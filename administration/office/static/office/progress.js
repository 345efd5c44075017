// Fetches the same page once a second and puts its fresh part in place, until the work has ended.
(function () {
  "use strict";
  function look() {
    var here = document.getElementById("job") || document.getElementById("live");
    if (!here || !here.dataset.address) { return; }
    fetch(here.dataset.address, { credentials: "same-origin", headers: { "X-Watching": "1" } })
      .then(function (answer) { return answer.ok ? answer.text() : null; })
      .then(function (text) {
        if (text) {
          var fresh = new DOMParser().parseFromString(text, "text/html").getElementById(here.id);
          if (fresh) { here.replaceWith(document.importNode(fresh, true)); }
        }
        window.setTimeout(look, 1000);
      })
      .catch(function () { window.setTimeout(look, 3000); });
  }
  window.setTimeout(look, 1000);
}());
