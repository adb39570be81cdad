// The file of a form is sent with a bar that says how far it is. Without this the
// form is sent as forms are.
export function startUploads() {
  for (const form of document.querySelectorAll("form[data-upload]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      send(form);
    });
  }
}

function send(form) {
  const box = form.querySelector("[data-upload-progress]");
  const [bar, word, button] = [box.querySelector("progress"), box.querySelector("span"), form.querySelector("button")];
  const request = new XMLHttpRequest();
  request.upload.onprogress = ({ loaded, total }) => {
    bar.value = (loaded / total) * 100;
    word.textContent = loaded < total ? `${Math.floor(bar.value)} %` : "reading it…";
  };
  request.onload = () => {
    if (request.status < 300) return location.assign(request.responseURL);
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    document.querySelector("main").replaceWith(page.querySelector("main"));
    startUploads();
  };
  request.onerror = () => {
    word.textContent = "the connection was lost: try again";
    button.disabled = false;
  };
  box.hidden = false;
  button.disabled = true;
  request.open("POST", form.action);
  request.send(new FormData(form));
}
