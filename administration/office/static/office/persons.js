// Single keys on a pair of customers: each follows the link or button that names it. Whoever dictates or types by accident
// turns them off; the browser remembers that, for all lists of the office alike.
(function () {
  "use strict";
  var frame = document.getElementById("keys"), toggle = document.getElementById("keys-on");
  if (!frame || !toggle) { return; }
  var STORED = "office-keys";
  function remembered() { try { return window.localStorage.getItem(STORED); } catch (refused) { return null; } }
  function remember(value) { try { window.localStorage.setItem(STORED, value); } catch (refused) { /* for this page only */ } }
  frame.hidden = false;
  toggle.checked = remembered() !== "off";
  toggle.addEventListener("change", function () { remember(toggle.checked ? "on" : "off"); });
  document.addEventListener("keydown", function (event) {
    var on = event.target;
    var writes = on.isContentEditable || /^(SELECT|TEXTAREA)$/.test(on.tagName) || (on.tagName === "INPUT" && on.type !== "checkbox");
    if (!toggle.checked || writes || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) { return; }
    var there = /^[a-z]$/.test(event.key) && document.querySelector("[data-key='" + event.key + "']");
    if (there) { event.preventDefault(); there.click(); }
  });
}());
