// Single keys in a list of claims: the list beside them says which. Everything they do can be done by pressing what
// stands in the row as well. Whoever dictates or types by accident turns them off; the browser remembers that.
(function () {
  "use strict";
  var help = document.getElementById("keys"), toggle = document.getElementById("keys-on");
  if (!help || !toggle) { return; }
  var STORED = "office-keys";
  function remembered() { try { return window.localStorage.getItem(STORED); } catch (refused) { return null; } }
  function remember(value) { try { window.localStorage.setItem(STORED, value); } catch (refused) { /* for this page only */ } }
  help.hidden = false;
  toggle.checked = remembered() !== "off";
  toggle.addEventListener("change", function () { remember(toggle.checked ? "on" : "off"); });

  function rows() { return Array.prototype.slice.call(document.querySelectorAll("#claims-list tbody tr")).filter(function (row) { return row.querySelector("a"); }); }
  function at(list) { return list.findIndex(function (row) { return row.contains(document.activeElement); }); }
  function move(step) {
    var list = rows(), next = Math.min(list.length - 1, Math.max(0, at(list) + step));
    if (list.length) { list[next].querySelector("a").focus(); }
  }
  function box(row) { return row && row.querySelector("input[type=checkbox]"); }
  function follow(row, name) {
    var own = row && row.querySelector("[data-" + name + "]");
    if (own) { window.location.assign(own.getAttribute("data-" + name)); }
  }

  document.addEventListener("keydown", function (event) {
    var on = event.target;
    var writes = on.isContentEditable || /^(SELECT|TEXTAREA)$/.test(on.tagName) || (on.tagName === "INPUT" && on.type !== "checkbox");
    if (!toggle.checked || writes || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) { return; }
    var list = rows(), row = list[at(list)], chosen = document.getElementById("chosen");
    if (event.key === "j") { move(1); }
    else if (event.key === "k") { move(-1); }
    else if (event.key === "x") { if (box(row)) { box(row).checked = !box(row).checked; } }
    else if (event.key === "a") {
      if (chosen && document.querySelector("#claims-list input[type=checkbox]:checked")) { chosen.requestSubmit(); } else { follow(row, "confirm"); }
    }
    else if (event.key === "d") { follow(row, "dispute"); }
    else if (event.key === "?") { help.open = !help.open; help.querySelector("summary").focus(); }
    else { return; }
    event.preventDefault();
  });
}());
