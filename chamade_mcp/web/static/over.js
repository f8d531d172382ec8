// The page that remains when a room or chat is over: what happened, and what to do.
import { $, el } from "./dom.js";

const REASONS = {
  left: { title: "You left", text: "You can come back as long as the link is valid.", again: "Join again" },
  replaced: {
    title: "Open in another tab",
    text: "You opened this link again, and you are there now. This tab is quiet.",
    again: "Use this tab",
  },
  full: { title: "The room is full", text: "Try again when somebody has left.", again: "Try again" },
  broken: {
    title: "The connection broke",
    text: "The gateway refused what this page sent. If it happens again, reload the page.",
    again: "Connect again",
  },
  revoked: {
    title: "This link was switched off",
    text: "Whoever gave it to you has revoked it. Ask them for a new one if you still need it.",
  },
  expired: {
    title: "This link has expired",
    text: "Links are valid for a limited time. Ask the person who sent it for a new one.",
  },
  gone: {
    title: "This link no longer works",
    text: "It has expired, or it was revoked. Ask the person who sent it for a new one.",
  },
  foreign: {
    title: "This page is at the wrong address",
    text: "The gateway takes connections from its own address only. Open the link exactly as you received it.",
  },
};

/** Shows why it is over; `onagain` is called when the person wants back in, where that makes sense. */
export function showOver(reason, onagain, back) {
  const { title, text, again } = REASONS[reason] ?? REASONS.gone;
  $("over-title").textContent = title;
  $("over-text").textContent = text;
  const actions = [];
  if (again) actions.push(el("button", { type: "button", class: "button primary", onclick: onagain }, again));
  if (back) actions.push(el("a", { class: "button", href: back }, "Back to the chat"));
  $("over-actions").replaceChildren(...actions);
  $("over").hidden = false;
  $("over-title").focus();
}
