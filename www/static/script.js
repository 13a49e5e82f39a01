// Keeps the page true while it is looked at: live figures every 3 s, each graph when new data is due, the rest
// every minute. Without this script the page works too; it then reloads as a whole.
"use strict";
(() => {
  const LIVE_MS = 3000, PAGE_MS = 60000, PATIENCE_MS = 10000;
  const { decimal, group, zone } = document.documentElement.dataset;
  const clock = new Intl.DateTimeFormat("en-GB", { timeZone: zone || undefined, timeStyle: "medium" });
  const day = new Intl.DateTimeFormat("en-CA", { timeZone: zone || undefined });
  const drawn = new WeakMap(); // picture element -> when its image was asked for, ms
  let pageTime = Date.now();

  // As powerpi/page.py writes them: grouped from five digits on, "–" where unknown.
  function number(value, decimals) {
    if (value === null) return "–";
    const [whole, part] = value.toFixed(decimals).split(".");
    const grouped = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, group) : whole;
    return part ? grouped + decimal + part : grouped;
  }
  const kwh = (wattHours, decimals) => number(wattHours === null ? null : wattHours / 1000, decimals);

  function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  async function ask(address) {
    const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
    return answer;
  }

  function writePulse(element, seconds) {
    const time = new Date(seconds * 1000);
    // A pulse of another day keeps the words of the server, which knows how the language writes dates.
    if (day.format(time) !== day.format(new Date())) return;
    const text = element.dataset.text.replace("{time}", clock.format(time));
    if (element.textContent === text) return;
    element.textContent = text;
    element.classList.remove("beat");
    void element.offsetWidth; // starts the animation anew
    element.classList.add("beat");
  }

  async function live() {
    const shown = document.querySelectorAll(".meter");
    const one = shown.length === 1 ? `/${shown[0].id.replace("meter-", "")}` : "";
    const said = await (await ask(`/api/v1/meters${one}`)).json();
    for (const meter of one ? [said] : said.meters) {
      const section = document.getElementById(`meter-${meter.meter}`);
      if (!section) continue;
      const find = (name) => section.querySelector(`.${name}`);
      const unwired = meter.no_pulse_yet && !meter.silent;
      const watts = unwired ? null : meter.watts;
      write(find("watts"), number(watts, watts !== null && watts < 9.95 ? 1 : 0));
      find("at-most").hidden = unwired || !meter.watts_at_most;
      find("power").classList.toggle("unknown", watts === null);
      const pulse = find("last-pulse");
      pulse.hidden = unwired;
      if (unwired && !find("no-pulse")) location.reload(); // a new memory of pulses
      if (!unwired) find("no-pulse")?.remove();
      if (watts === null) write(pulse, meter.silent ? "–" : pulse.dataset.waiting);
      else if (meter.last_pulse_time === null) write(pulse, pulse.dataset.text.replace("{time}", "–"));
      else writePulse(pulse, meter.last_pulse_time);
      write(find("today"), kwh(meter.today_watt_hours, 2));
      write(find("yesterday"), kwh(meter.yesterday_watt_hours, 2));
      write(find("meter-reading"), kwh(meter.meter_reading_watt_hours, 1));
    }
  }

  // The page as the server would show it now: notices, unknown parts of the days, details, gaps, descriptions of
  // graphs, and on the page of one graph the links to the times before.
  async function rest() {
    pageTime = Date.now();
    const fresh = new DOMParser().parseFromString(await (await ask(location.href)).text(), "text/html");
    for (const selector of ["#notices", ".overview tbody", ".origin", ".push", ".energy small", "details dl", ".measured", ".gaps", "figcaption", ".times"]) {
      const [old, now] = [document, fresh].map((root) => root.querySelectorAll(selector));
      if (old.length !== now.length) return location.reload(); // other meters, or the first gap
      old.forEach((element, index) => {
        if (element.innerHTML !== now[index].innerHTML) element.replaceChildren(...now[index].childNodes);
      });
    }
    const descriptions = fresh.querySelectorAll(".graph img");
    document.querySelectorAll(".graph img").forEach((image, index) => { image.alt = descriptions[index].alt; });
  }

  function due(picture) {
    const image = picture.querySelector("img");
    const place = picture.getBoundingClientRect();
    const seen = place.bottom > -100 && place.top < innerHeight + 100;
    const age = Date.now() - (drawn.get(picture) ?? performance.timeOrigin);
    return seen && image.complete && age > picture.dataset.fresh * 1000;
  }

  // A copy loads and decodes beside the page and only then takes the place of the old picture: nothing flickers.
  async function redraw(picture) {
    const copy = picture.cloneNode(true);
    const now = Math.floor(Date.now() / 1000);
    drawn.set(picture, Date.now());
    drawn.set(copy, Date.now());
    const renewed = (address) => address.replace(/&v=\d+/, "") + `&v=${now}`;
    const image = copy.querySelector("img");
    image.loading = "eager";
    image.decoding = "sync";
    for (const element of copy.querySelectorAll("[srcset]")) {
      element.srcset = element.srcset.replace(/\/\S+/g, renewed);
    }
    try {
      await image.decode();
      picture.replaceWith(copy);
    } catch {
      // The old picture stays: the next turn tries again, and the notices say what is wrong.
    }
  }

  async function turn() {
    if (!document.hidden) {
      const missing = document.getElementById("no-answer");
      try {
        if (document.querySelector(".meter")) await live();
        if (Date.now() - pageTime > PAGE_MS) await rest();
        missing.hidden = true;
      } catch {
        missing.hidden = false;
      }
    }
    setTimeout(turn, LIVE_MS);
  }
  setTimeout(turn, LIVE_MS);

  // In a loop of their own: a graph that takes long must not hold up the live figures.
  async function pictures() {
    if (!document.hidden) {
      for (const picture of document.querySelectorAll("picture")) if (due(picture)) await redraw(picture);
    }
    setTimeout(pictures, LIVE_MS);
  }
  setTimeout(pictures, LIVE_MS);
})();
