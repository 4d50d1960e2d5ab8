// The page around the tail: what runs, how far it is, and whether we are still connected.

import { Tail, element } from "./tail.js";

const POLL_MILLISECONDS = 1000;
const ANNOUNCE_MILLISECONDS = 5000;

const byId = (id) => document.getElementById(id);
const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");
const shown = (number) => (number === null || number === undefined ? "–" : grouped(number));

const STATES = { connecting: "Connecting", live: "Live", paused: "Paused", lost: "Reconnecting", ended: "Session ended" };

let state = "connecting";
let paused = false;
let started = document.body.dataset.started;
const firstGeneration = Number(document.body.dataset.generation);

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function showState(next) {
  if (state === "ended") return;
  state = next;
  const visible = state === "live" && paused ? "paused" : state;
  byId("connection").dataset.state = visible;
  setText(byId("connection"), STATES[visible]);
  const lost = byId("lost");
  lost.hidden = state !== "lost" && state !== "ended";
  if (state === "lost") setText(lost, "The connection is lost. What you see may be old; it goes on from here as soon as the server is back.");
  if (state === "ended") setText(lost, "This session has ended. Open the link with the token once more: it was printed when the application started.");
}

function uptime(seconds) {
  const rest = Math.max(0, Math.floor(seconds));
  for (const [unit, size, small, part] of [["d", 86400, "h", 3600], ["h", 3600, "m", 60], ["m", 60, "s", 1]]) {
    if (rest >= size) return `${Math.floor(rest / size)} ${unit} ${Math.floor((rest % size) / part)} ${small}`;
  }
  return `${rest} s`;
}

function showHead(head) {
  setText(byId("head"), grouped(head));
}

function cell(label, className, text) {
  const made = element("td", className, text);
  made.dataset.label = label;
  return made;
}

function partRow(part) {
  const made = element("tr");
  made.dataset.health = part.health;
  const name = element("th", "", part.name);
  name.scope = "row";
  if (part.detail) name.append(" ", element("span", "detail", part.detail));
  const health = cell("Health", "");
  health.append(element("span", "health", part.health));
  const position = cell("Position", "number", shown(part.position));
  if (part.position === null) position.dataset.none = "";
  const lag = cell("Lag", "number lag", shown(part.lag));
  if (part.lag === null) lag.dataset.none = "";
  if (part.lag) lag.dataset.behind = "";
  made.append(
    name,
    cell("Kind", "kind", part.kind),
    health,
    position,
    lag,
    cell("Last error", "error", part.error),
  );
  return made;
}

let drawnParts = "";

function showStatus(status) {
  showHead(status.head);
  // A store that was begun anew has nothing behind the place where we stand.
  if (started !== status.started_at && status.head < tail.last) location.reload();
  started = status.started_at;
  setText(byId("generation"), String(status.generation));
  setText(byId("rejected-generation"), String(status.generation));
  setText(byId("store"), status.store);
  setText(byId("parts-count"), String(status.parts.length));
  const parts = JSON.stringify(status.parts);
  // A table that has not changed is left alone, with what someone has selected in it.
  if (parts !== drawnParts) {
    drawnParts = parts;
    byId("parts").replaceChildren(...status.parts.map(partRow));
  }
  byId("rejected").hidden = !status.rejected;
  setText(byId("rejected-text"), status.rejected);
  byId("changed").hidden = status.generation === firstGeneration;
}

async function poll() {
  if (!document.hidden) {
    try {
      const answer = await fetch("/api/status", { headers: { accept: "application/json" } });
      if (answer.status === 401) {
        showState("ended");
        tail.source?.close();
        return;
      }
      if (answer.ok) showStatus(await answer.json());
    } catch {
      showState("lost");
    }
  }
  setTimeout(poll, POLL_MILLISECONDS);
}

let unannounced = 0;

function showTail(count, added) {
  const filtered = byId("filter").value.trim() !== "";
  byId("no-events").hidden = count > 0;
  setText(byId("no-events-text"), filtered ? "No event has such a type." : "No events yet.");
  const call = byId("no-events-call");
  if (call) call.hidden = filtered;
  unannounced += added;
}

setInterval(() => {
  if (!unannounced) return;
  setText(byId("announcer"), unannounced === 1 ? "1 new event" : `${unannounced} new events`);
  unannounced = 0;
}, ANNOUNCE_MILLISECONDS);

setInterval(() => {
  if (state !== "lost") setText(byId("uptime"), uptime((Date.now() - Date.parse(started)) / 1000));
}, 1000);

const tail = new Tail({
  list: byId("tail"),
  after: Number(document.body.dataset.head),
  eventTypes: Array.from(document.querySelectorAll("#event-types option"), (option) => option.value),
  onState: showState,
  onShown: showTail,
  onHead: showHead,
  onMissed: (missed) => {
    byId("missed").hidden = missed === 0;
    setText(byId("missed"), `${missed} new`);
  },
});

const retry = (work) => work.catch(() => {
  showState("lost");
  setTimeout(() => retry(tail.load()), 2000);
});

byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
  setText(byId("pause-text"), paused ? "Resume" : "Pause");
  retry(tail.setPaused(paused));
  showState(state);
});

let typing = 0;
byId("filter").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => retry(tail.setFilter(byId("filter").value)), 200);
});

document.addEventListener("click", async (click) => {
  const button = click.target.closest?.("[data-copy]");
  if (!button) return;
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    setText(button, "Copied");
  } catch {
    // Without the clipboard's permission, the text is at least selected.
    getSelection().selectAllChildren(code);
    setText(button, "Press Ctrl+C");
  }
  setTimeout(() => setText(button, "Copy"), 1500);
});

retry(tail.load()).then(() => tail.connect());
poll();
