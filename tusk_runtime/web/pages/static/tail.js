// The live tail: the newest events on top, at most so many, and nothing of a payload but as text.

const KEPT = 200;
const RETRY_MILLISECONDS = [500, 1000, 2000, 4000, 8000];

const time = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false,
});

export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export class Tail {
  constructor({ list, after, eventTypes, onState, onMissed, onShown, onHead }) {
    this.list = list;
    this.last = after;
    this.eventTypes = eventTypes;
    this.onState = onState;
    this.onMissed = onMissed;
    this.onShown = onShown;
    this.onHead = onHead;
    this.filter = "";
    this.paused = false;
    this.missed = 0;
    this.waiting = [];
    this.frame = 0;
    this.failures = 0;
    this.loads = 0;
    this.loading = false;
    this.source = null;
  }

  // Fill the list anew from the log: at the start, after a pause, and for another filter.
  async load() {
    const load = ++this.loads;
    this.loading = true;
    this.waiting = [];
    const query = new URLSearchParams({ backwards: "true", limit: String(KEPT) });
    const types = this.filter ? this.eventTypes.filter((type) => this.matches(type)) : [];
    for (const type of types) query.append("type", type);
    const events = this.filter && !types.length ? [] : await this.fetch(query);
    // Another load began meanwhile: its answer is the one that counts.
    if (load !== this.loads) return;
    this.loading = false;
    const newest = events.length ? events[0].position : 0;
    const arrived = this.waiting.filter((event) => event.position > newest && this.matches(event.event_type));
    this.waiting = [];
    this.last = Math.max(this.last, newest);
    this.list.replaceChildren(...[...arrived.reverse(), ...events].slice(0, KEPT).map(row));
    this.onShown(this.list.childElementCount, 0);
  }

  async fetch(query) {
    const answer = await fetch(`/api/events?${query}`, { headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error(`the events answer ${answer.status}`);
    return (await answer.json()).events;
  }

  connect() {
    this.source?.close();
    const source = new EventSource(`/api/events/live?after=${this.last}`);
    this.source = source;
    source.onopen = () => {
      this.failures = 0;
      this.onState("live");
    };
    source.onmessage = (message) => this.receive(JSON.parse(message.data));
    source.onerror = () => {
      if (source !== this.source) return;
      this.onState("lost");
      // The browser comes back by itself after a cut, but not after an answer that is no stream.
      if (source.readyState === EventSource.CLOSED) {
        const wait = RETRY_MILLISECONDS[Math.min(this.failures++, RETRY_MILLISECONDS.length - 1)];
        setTimeout(() => source === this.source && this.connect(), wait);
      }
    };
  }

  receive(event) {
    if (event.position <= this.last) return;
    this.last = event.position;
    this.onHead(event.position);
    if (!this.matches(event.event_type)) return;
    if (this.paused) {
      this.onMissed(++this.missed);
      return;
    }
    this.waiting.push(event);
    if (this.waiting.length > KEPT) this.waiting.shift();
    // Many events may come between two pictures: they are drawn together.
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = 0;
    // What comes during a load waits for it, and is put on top of what it brings.
    if (this.paused || this.loading || !this.waiting.length) return;
    const rows = this.waiting.splice(0).reverse().map(row);
    for (const made of rows) made.classList.add("new");
    this.list.prepend(...rows);
    while (this.list.childElementCount > KEPT) this.list.lastElementChild.remove();
    this.onShown(this.list.childElementCount, rows.length);
  }

  matches(type) {
    return type.toLowerCase().includes(this.filter);
  }

  async setFilter(text) {
    this.filter = text.trim().toLowerCase();
    // What was missed is brought along: a pause holds what is shown, and this asks to see something else.
    this.missed = 0;
    this.onMissed(0);
    await this.load();
  }

  async setPaused(paused) {
    this.paused = paused;
    if (paused) {
      this.missed = this.waiting.length;
      this.waiting = [];
      this.onMissed(this.missed);
      return;
    }
    this.missed = 0;
    this.onMissed(0);
    await this.load();
  }
}

function row(event) {
  const details = element("details");
  const summary = element("summary");
  const when = element("time", "when", time.format(new Date(event.timestamp)));
  when.dateTime = event.timestamp;
  when.title = event.timestamp;
  const data = JSON.stringify(event.data) ?? "";
  summary.append(
    element("span", "position", String(event.position)),
    when,
    element("span", "type", event.event_type),
    aggregate(event),
    element("span", "preview", data.length > 300 ? `${data.slice(0, 300)}…` : data),
  );
  details.append(summary);
  // Pretty text is made for those that someone opens.
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(expanded(event));
  });
  const item = element("li");
  item.append(details);
  return item;
}

function aggregate(event) {
  const made = element("span", "aggregate");
  made.append(element("span", "aggregate-type", event.aggregate_type), ` ${event.aggregate_id} `);
  made.append(element("span", "aggregate-version", `v${event.version}`));
  return made;
}

function expanded(event) {
  const made = element("div", "expanded");
  const ids = element("dl");
  for (const [name, value] of [
    ["aggregate", `${event.aggregate_type} ${event.aggregate_id} v${event.version}`],
    ["at", event.timestamp],
    ["event", event.event_id],
    ["fields", `version ${event.event_version}`],
  ]) ids.append(element("dt", "", name), element("dd", "", value));
  const data = element("pre", "", JSON.stringify(event.data, null, 2));
  const metadata = element("pre", "", JSON.stringify(event.metadata, null, 2));
  data.tabIndex = metadata.tabIndex = 0;
  made.append(ids, element("h3", "", "Data"), data, element("h3", "", "Metadata"), metadata);
  return made;
}
