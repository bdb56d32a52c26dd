// Where the page starts: reads the link, shows the right screen.

import { takeAccess } from "./access.js";
import { Call } from "./call.js";
import { CameraWatch } from "./device.js";
import { byId, show } from "./dom.js";
import { openCamera, WANTED_VIDEO } from "./media.js";
import { operate } from "./operator.js";
import { offerLanguages, onLanguage, speak, t } from "./texts.js";

const CAN_RETRY = new Set(["left", "replaced", "lost", "full"]);
const ADVICE = { left: "over.close", ended: "over.close", replaced: "over.close", full: "over.retry", lost: "over.retry" };

let local = null;
let camera = null;
let call = null;
let why = null;

// For tests and for support: what the browser says of the streams.
window.guard = { stats: async () => (call ? call.stats() : null) };

async function preview() {
  const note = byId("preview-note");
  byId("camera-again").hidden = true;
  const askedAt = performance.now();
  local = await openCamera();
  camera?.stop();
  camera = local ? new CameraWatch(local, WANTED_VIDEO, askedAt) : null;
  camera?.probe();
  byId("preview").srcObject = local;
  note.hidden = Boolean(local?.getVideoTracks().length);
  note.dataset.t = local ? "join.preview" : "join.no_camera";
  note.textContent = t(note.dataset.t);
  byId("camera-again").hidden = Boolean(local);
}

function askToJoin(access) {
  const write = () => {
    byId("join-as").textContent = t("join.as", { name: access.participant, role: t(`role.${access.role}`) });
  };
  write();
  onLanguage(write);
  show("join");
  byId("camera-again").addEventListener("click", preview);
  byId("join-now").addEventListener("click", () => {
    show("call");
    byId("main").focus();
    byId("preview").srcObject = null;
    call = new Call(access, local, camera, over);
  });
  preview();
}

function over(reason) {
  why = reason;
  call = null;
  show("over");
  writeOver();
  byId("over-title").focus();
}

function writeOver() {
  if (!why) return;
  byId("over-title").textContent = t(`over.${why}`);
  byId("over-detail").textContent = t(ADVICE[why] ?? "over.ask");
  byId("again").hidden = !CAN_RETRY.has(why);
}

async function start() {
  for (const id of ["languages", "check-languages"]) offerLanguages(byId(id));
  onLanguage(writeOver);
  await speak();
  byId("again").addEventListener("click", () => location.reload());
  const access = takeAccess();
  if (!access) return show("help");
  if (access.session === "*") {
    show("operator");
    return operate(access);
  }
  return askToJoin(access);
}

start();
