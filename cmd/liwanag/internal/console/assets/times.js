// Relative times stay true; the words are those of the server.
const units = [[60, 1, "s"], [3600, 60, "min"], [48 * 3600, 3600, "h"], [Infinity, 24 * 3600, "d"]];

export function relative(then, now) {
  const away = (now - then) / 1000;
  const size = Math.abs(away);
  if (size < 1) return "now";
  const [, of, name] = units.find(([below]) => size < below);
  const text = `${Math.floor(size / of)} ${name}`;
  return away > 0 ? `${text} ago` : `in ${text}`;
}

export function startTimes() {
  const all = () => {
    if (document.hidden) return;
    const now = Date.now();
    for (const e of document.querySelectorAll("time[data-relative]")) {
      const text = relative(Date.parse(e.dateTime), now);
      if (e.textContent !== text) e.textContent = text;
    }
  };
  setInterval(all, 5000);
  document.addEventListener("visibilitychange", all);
}
