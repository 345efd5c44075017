// Uploads files in pieces. Each answer says how many bytes are here; whatever breaks off goes on from there, in this visit
// or, when the same file is chosen again, in a later one. Without this script the form sends whole files.
(function () {
  "use strict";
  var PIECE = 4 * 1024 * 1024, form = document.getElementById("upload"), shown = document.getElementById("uploads");
  if (!form || !window.fetch || !window.FormData) { return; }
  var field = form.querySelector("input[type=file]"), button = form.querySelector("button");
  var token = form.querySelector("input[name=csrfmiddlewaretoken]").value;

  function line(file) {
    var row = document.createElement("p"), name = document.createElement("span"), bar = document.createElement("progress");
    var words = document.createElement("span");
    name.textContent = file.name + " "; bar.max = Math.max(1, file.size); bar.value = 0; words.textContent = " " + shown.dataset.waiting;
    row.appendChild(name); row.appendChild(bar); row.appendChild(words); shown.appendChild(row);
    return { at: function (bytes) { bar.value = bytes; words.textContent = " " + bytes.toLocaleString() + " / " + file.size.toLocaleString(); },
      say: function (text) { words.textContent = " " + text; } };
  }
  function hex(buffer) {
    return Array.prototype.map.call(new Uint8Array(buffer), function (one) { return ("0" + one.toString(16)).slice(-2); }).join("");
  }
  function hashed(piece) {  // only over https and on this machine; elsewhere the server's own hash is what counts
    if (!window.crypto || !window.crypto.subtle) { return Promise.resolve(""); }
    return piece.arrayBuffer().then(function (bytes) { return window.crypto.subtle.digest("SHA-256", bytes); }).then(hex);
  }
  function ask(options) {
    options.method = "POST"; options.credentials = "same-origin";
    options.headers = Object.assign({ "X-CSRFToken": token, "Accept": "application/json" }, options.headers || {});
    return fetch(form.dataset.address, options).then(function (answer) {
      return answer.json().then(function (said) {
        if (!answer.ok) { var refused = new Error(said.refused || answer.statusText); refused.refused = true; throw refused; }
        return said;
      });
    });
  }
  function again(what, row, tries) {
    return what().catch(function (trouble) {
      if (trouble.refused) { throw trouble; }
      row.say(shown.dataset.again);
      return new Promise(function (go) { window.setTimeout(go, Math.min(30000, 500 * Math.pow(2, tries))); })
        .then(function () { return again(what, row, tries + 1); });
    });
  }
  function send(file) {
    var row = line(file);
    function announce() {
      var body = new FormData(); body.append("name", file.name); body.append("size", file.size);
      return ask({ body: body });
    }
    function rest(said) {
      row.at(said.received);
      if (said.received >= file.size) {
        return again(function () {
          return ask({ headers: { "Content-Type": "application/octet-stream", "X-File": said.file, "X-Finish": "1" }, body: new Blob([]) });
        }, row, 0).then(function (done) { row.say(shown.dataset.done + " · SHA-256 " + done.sha256); });
      }
      var piece = file.slice(said.received, said.received + PIECE);
      return again(function () {
        return hashed(piece).then(function (digest) {
          return ask({ headers: { "Content-Type": "application/octet-stream", "X-File": said.file, "X-Offset": said.received, "X-SHA256": digest }, body: piece });
        });
      }, row, 0).then(rest);
    }
    return again(announce, row, 0).then(rest).then(function () { return true; }, function (trouble) { row.say(trouble.message); return false; });
  }
  form.addEventListener("submit", function (event) {
    var files = Array.prototype.slice.call(field.files);
    if (!files.length) { return; }
    event.preventDefault(); button.disabled = true; shown.textContent = "";
    files.reduce(function (before, file) {
      return before.then(function (well) { return send(file).then(function (sent) { return well && sent; }); });
    }, Promise.resolve(true)).then(function (well) {
      button.disabled = false;
      if (well) { window.location.assign(form.dataset.onward); }
    });
  });
}());
