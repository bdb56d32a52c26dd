// Line drawings of what a check asks for. They are mirror images: a person's own left is on the left,
// as in the picture they see of themselves.

const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const path = (d, attributes = {}) => shape("path", { d, ...attributes });
const dot = (cx, cy, r = 3) => shape("circle", { cx, cy, r, fill: "currentColor", stroke: "none" });
const oval = (cx, cy, rx, ry) => shape("ellipse", { cx, cy, rx, ry });
const group = (transform, ...children) => shape("g", { transform }, ...children);

const HEAD = () => oval(60, 60, 30, 38);
const EYES = () => [dot(49, 53), dot(71, 53)];
const NOSE = () => path("M60 58 l-3 11 h6");
const MOUTH = () => path("M51 80 q9 6 18 0");

/** A head whose face is moved by (dx, dy) inside its outline, as in a turned head. */
function face(dx, dy) {
  return [HEAD(), group(`translate(${dx} ${dy})`, ...EYES(), NOSE(), MOUTH())];
}

/** An arrow head at (x, y) that points to `degrees`, 0 being right and 90 down. */
const tip = (x, y, degrees) => group(`translate(${x} ${y}) rotate(${degrees})`, path("M-9 -7 L0 0 L-9 7"));

const mirrored = (...children) => group("translate(120 0) scale(-1 1)", ...children);
const turned = () => [...face(-8, 0), path("M86 108 Q60 120 30 108"), tip(29, 107.5, 205)];
// turned almost to profile: one eye, the nose beyond the outline, and a longer arrow
const turnedFar = () => [
  HEAD(),
  dot(42, 53),
  path("M32 48 l-9 19 h8"),
  path("M37 82 q6 4 12 1"),
  path("M70 56 q7 0 6 8 q-1 6 -7 6"),
  path("M102 100 Q60 128 18 100"),
  tip(17, 99.5, 212),
];
const tilted = () => [
  group("rotate(-22 60 98)", ...face(0, 0)),
  path("M88 20 Q62 2 34 14"),
  tip(33, 14.5, 155),
  path("M14 118 q10 -14 32 -14 h28 q22 0 32 14"),
];

/** A hand seen from its back, its finger tips at the top, about 40 wide and 46 high. */
const hand = () => [
  path("M4 46 V18 a5 5 0 0 1 10 0 V8 a5 5 0 0 1 10 0 v-1 a5 5 0 0 1 10 0 v7 a5 5 0 0 1 9 2 V46", { fill: "var(--paper)" }),
  path("M14 18 v10 M24 8 v20 M34 14 v14"),
];

const DRAWINGS = {
  turn_left: () => turned(),
  turn_right: () => [mirrored(...turned())],
  turn_far_left: () => turnedFar(),
  turn_far_right: () => [mirrored(...turnedFar())],
  tilt_left: () => tilted(),
  tilt_right: () => [mirrored(...tilted())],
  look_up: () => [...face(0, -15), path("M106 84 V36"), tip(106, 35, 270)],
  look_down: () => [...face(0, 9), path("M106 36 V84"), tip(106, 85, 90)],
  blink_twice: () => [
    HEAD(),
    path("M42 52 q7 7 14 0 M64 52 q7 7 14 0 M44 58 l-2 4 M49 59 v5 M54 58 l2 4 M66 58 l-2 4 M71 59 v5 M76 58 l2 4"),
    NOSE(),
    MOUTH(),
    shape("text", { x: 92, y: 32, "font-size": 20, fill: "currentColor", stroke: "none" }, "×2"),
  ],
  open_mouth: () => [HEAD(), ...EYES(), path("M60 56 l-3 9 h6"), shape("ellipse", { cx: 60, cy: 81, rx: 9, ry: 11, fill: "currentColor" })],
  move_closer: () => [
    shape("g", { "stroke-dasharray": "4 5" }, group("translate(-8 34) scale(.45)", HEAD())),
    group("translate(14 -2) scale(1.02)", ...face(0, 0)),
    path("M10 102 H34 M34 102 l-9 -7 M34 102 l-9 7"),
  ],
  cover_mouth: () => [HEAD(), ...EYES(), group("translate(37 102) rotate(-90) scale(.95)", ...hand())],
  cover_eye: () => [HEAD(), dot(71, 53), NOSE(), MOUTH(), group("translate(26 32) scale(.95)", ...hand())],
  follow_dot: () => [...face(9, -5), path("M78 52 L98 30", { "stroke-dasharray": "3 5" }), dot(104, 22, 9)],
  say_words: () => [
    group("translate(-18 12) scale(.9)", HEAD(), ...EYES(), path("M60 58 l-3 11 h6"), oval(60, 82, 8, 6)),
    path("M70 10 h42 q6 0 6 6 v26 q0 6 -6 6 h-26 l-10 10 v-10 h-6 q-6 0 -6 -6 v-26 q0 -6 6 -6 z", { fill: "var(--paper)" }),
    path("M74 22 h34 M74 34 h22"),
  ],
  screen_light: () => [
    shape("rect", { x: 20, y: 34, width: 80, height: 54, rx: 5 }),
    path("M60 88 v14 M42 104 h36"),
    path("M60 8 v14 M14 16 l9 9 M106 16 l-9 9 M4 60 h8 M108 60 h8"),
    path("M44 54 v14 M60 50 v22 M76 54 v14"),
  ],
  compare: () => [
    shape("rect", { x: 6, y: 30, width: 44, height: 60, rx: 6 }),
    shape("rect", { x: 70, y: 30, width: 44, height: 60, rx: 6 }),
    path("M16 52 h24 M16 64 h24 M80 52 h24 M80 64 h24 M55 56 h10 M55 64 h10"),
  ],
};

export const DRAWN = Object.keys(DRAWINGS);

/** Returns the drawing of a gesture; null where there is none. The text beside it says the same. */
export function pictogram(gesture) {
  if (!Object.hasOwn(DRAWINGS, gesture)) return null;
  const frame = {
    viewBox: "0 0 120 120", class: "pictogram", "aria-hidden": "true", "data-gesture": gesture, fill: "none",
    stroke: "currentColor", "stroke-width": "3.5", "stroke-linecap": "round", "stroke-linejoin": "round",
  };
  return shape("svg", frame, ...DRAWINGS[gesture]());
}
