// Before the first paint: that there is a script, and the theme that was chosen.
(() => {
  const root = document.documentElement.classList;
  root.add("js");
  if (navigator.clipboard) root.add("clipboard");
  let chosen = null;
  try { chosen = localStorage.getItem("theme"); } catch { /* no storage: the system's */ }
  if (chosen === "light" || chosen === "dark") root.add(chosen);
})();
