// Selecting people: how many are, and all of a page at once. What is ticked is the form's; a refresh of the list keeps it.
const boxes = () => [...document.querySelectorAll("[data-pick]")];

export function startSelect() {
  if (!document.querySelector("#list")) return;
  document.addEventListener("change", ({ target }) => {
    if (target.matches("[data-pick-page]")) for (const box of boxes()) box.checked = target.checked;
    if (target.matches("[data-pick], [data-pick-page], [data-pick-all]")) tell();
  });
  document.addEventListener("refreshed", tell);
  new MutationObserver(tell).observe(document.getElementById("list").parentNode, { childList: true, subtree: true });
  tell();
}

function tell() {
  const sign = document.querySelector("[data-picked]");
  if (!sign) return;
  const all = document.querySelector("[data-pick-all]").checked;
  const picked = boxes().filter((box) => box.checked).length;
  const page = document.querySelector("[data-pick-page]");
  page.checked = picked > 0 && picked === boxes().length;
  page.indeterminate = picked > 0 && picked < boxes().length;
  const text = all ? "All that match are selected" : picked ? `${picked} selected` : "Nobody is selected";
  if (sign.textContent !== text) sign.textContent = text;
}
