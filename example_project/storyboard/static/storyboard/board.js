// Follows one storyboard: asks for its snapshot, and for the page itself when something new is there.
"use strict";

const PAUSE = 700;
const LONGEST_PAUSE = 15000;
let pause = PAUSE;

const board = () => document.getElementById("board");

function showProgress({ progress }) {
  const bar = document.querySelector("#board progress");
  if (!bar || !progress) return;
  if (progress.total_steps) {
    bar.max = progress.total_steps;
    bar.value = progress.current_step;
  }
  document.querySelector("#board .step").textContent = progress.description;
}

async function showNews() {
  const response = await fetch(location.href, { credentials: "same-origin" });
  if (!response.ok) throw new Error(response.statusText);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = page.getElementById("board");
  // Scenes that are there stay untouched: an opened text stays open, the focus stays put.
  const list = board().querySelector(".scenes");
  const arrived = [...fresh.querySelectorAll(".scenes > li")].slice(list.children.length);
  list.append(...arrived);
  board().querySelector(".status").replaceWith(fresh.querySelector(".status"));
  board().dataset.lastEvent = fresh.dataset.lastEvent;
  // The page can be newer than the snapshot that asked for it: what it says is what is announced.
  const finished = !board().querySelector("progress");
  const news = document.getElementById("news");
  if (finished) news.textContent = board().querySelector(".badge").textContent;
  else if (arrived.length) news.textContent = `${list.children.length} scenes`;
}

async function follow() {
  try {
    const response = await fetch(board().dataset.snapshot, { credentials: "same-origin" });
    if (response.status === 404) return;
    if (!response.ok) throw new Error(response.statusText);
    const snapshot = await response.json();
    if (String(snapshot.last_event) !== board().dataset.lastEvent) await showNews();
    if (snapshot.finished) return;
    showProgress(snapshot);
    pause = PAUSE;
  } catch {
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  }
  setTimeout(follow, document.hidden ? Math.max(pause, 5000) : pause);
}

follow();
