// The skin writes the name of a chosen file into a text field of its own markup, which it looks for three elements up.
// Ours are plain file fields, and show the name themselves: there the skin finds nothing and fails, or the first text
// field of the whole form and writes the name into that. So ours are marked as seen to, before the skin looks (on load).
(function () {
  "use strict";
  document.querySelectorAll(".office input[type=file]").forEach(function (field) { field.hasChangeListener = true; });
}());
