// What this browser can say of the camera it uses: numbers, and what kind of device its name stands for.
// The name is looked at here and goes nowhere; docs/face-signals/virtual_camera.md says what guard makes of it.

const AGAIN_MS = 10_000;
const PROBE_MS = 2000;
const COUNTED = 60;
// an image setting that only a sensor or its lens has
const CONTROLS = [
  "brightness", "colorTemperature", "contrast", "exposureCompensation", "exposureMode", "exposureTime", "focusDistance",
  "focusMode", "iso", "pan", "saturation", "sharpness", "tilt", "torch", "whiteBalanceMode", "zoom",
];

// The first line that fits a name wins.
const KINDS = [
  ["test", /fake[ _]?device|\.(y4m|mjpeg)$|test pattern|vivid/i],
  ["effects", /nvidia broadcast|mmhmm|snap ?camera|xsplit vcam|chromacam|youcam|avatarify|animaze|reincubate camo effects|logi capture|krisp/i],
  ["virtual", /\bobs\b|manycam|xsplit|deepfacelive|v4l2|loopback|dummy video|splitcam|webcamoid|unity ?cam|e2esoft|vmix|ndi\b|akvcam|screen ?capture|virtual|faceswap|deep-?live/i],
  ["bridge", /droidcam|ivcam|epoccam|iriun|reincubate camo|\bcamo\b|phone link|continuity/i],
  ["capture", /cam link|hdmi|game capture|capture card|elgato|magewell|avermedia|blackmagic|decklink|ultrastudio|av to usb/i],
];

/** Returns what kind of device a camera's name stands for; `physical` where nothing else fits. */
export function kindOf(label) {
  if (!label) return "hidden";
  return KINDS.find(([, pattern]) => pattern.test(label))?.[0] ?? "physical";
}

const within = (low, high, value) => (Number.isFinite(value) && value >= low && value <= high ? value : null);
const side = (value) => within(1, 16384, Math.round(value));
const rate = (value) => within(Number.MIN_VALUE, 1000, value);
const elapsed = (value) => within(0, 600_000, value);
const format = (width, height, hz) => ({ width: side(width), height: side(height), rate_hz: rate(hz) });

/** Watches the camera of one stream, and says what it has seen. */
export class CameraWatch {
  #track;
  #video = document.createElement("video");
  #requested;
  #askedAt;
  #firstMs = null;
  #resizeMs = null;
  #times = [];
  #size = [NaN, NaN];
  #onPicture = null;
  #counting = false;
  #changes = 0;
  #id;
  #timer = null;
  #stopped = false;

  /** `requested` is what the camera was asked for at `askedAt` (`performance.now()`), a MediaTrackConstraints object. */
  constructor(stream, requested, askedAt) {
    [this.#track] = stream.getVideoTracks();
    this.#requested = requested;
    this.#askedAt = askedAt;
    this.#id = this.#track?.getSettings().deviceId;
    if (!this.#track) return;
    this.#video.muted = true;
    this.#video.srcObject = new MediaStream([this.#track]);
    this.#count();
  }

  // Counts pictures anew; enough of them, and the second view of the camera costs nothing until the next time.
  #count() {
    this.#times = [];
    if (this.#counting || this.#stopped) return;
    this.#counting = true;
    this.#look();
    this.#video.play().catch(() => {}); // without pictures the report says so
  }

  #look() {
    this.#video.requestVideoFrameCallback?.((now, picture) => {
      if (this.#stopped) return;
      this.#firstMs ??= now - this.#askedAt;
      this.#times.push(1000 * picture.mediaTime);
      this.#size = [picture.width, picture.height];
      this.#onPicture?.();
      this.#counting = this.#times.length < COUNTED;
      if (this.#counting) this.#look();
      else this.#video.pause();
    });
  }

  /** Asks for half the size, takes the time until the browser has it, then asks for the old size again. */
  async probe() {
    const { width, height } = this.#requested;
    if (!this.#track || !(await this.#picture())) return;
    const half = { ...this.#requested, width: Math.round(width.ideal / 2), height: Math.round(height.ideal / 2) };
    const before = this.#track.getSettings().width;
    const from = performance.now();
    try {
      await this.#track.applyConstraints(half);
      if (this.#track.getSettings().width < before) this.#resizeMs = performance.now() - from;
    } catch {
      // a camera that cannot is no evidence
    } finally {
      await this.#track.applyConstraints(this.#requested).catch(() => {});
      this.#count();
    }
  }

  // Resolves to whether a picture came within the time a probe may take.
  #picture() {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), PROBE_MS);
      this.#onPicture = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  /** Returns the report as guard's message `device` has it; null without a camera. */
  report() {
    if (!this.#track) return null;
    const settings = this.#track.getSettings();
    if (settings.deviceId !== this.#id) {
      this.#id = settings.deviceId;
      this.#changes += 1;
    }
    const steps = this.#times.slice(1).map((time, at) => time - this.#times[at]);
    const mean = steps.reduce((sum, step) => sum + step, 0) / steps.length;
    const spread = Math.sqrt(steps.reduce((sum, step) => sum + (step - mean) ** 2, 0) / steps.length);
    const { width, height, frameRate } = this.#requested;
    return {
      kind: kindOf(this.#track.label),
      automated: navigator.webdriver === true,
      has_id: Boolean(settings.deviceId),
      facing: ["user", "environment", "left", "right"].includes(settings.facingMode) ? settings.facingMode : null,
      changes: this.#changes,
      requested: format(width.ideal, height.ideal, frameRate.ideal),
      reported: format(settings.width, settings.height, settings.frameRate),
      actual: format(...this.#size, 1000 / mean),
      range: this.#range(),
      first_picture_ms: elapsed(this.#firstMs ?? NaN),
      resize_ms: elapsed(this.#resizeMs ?? NaN),
      jitter_ms: elapsed(spread),
      pictures: this.#times.length,
    };
  }

  #range() {
    const can = this.#track.getCapabilities?.();
    if (!can) return null;
    const { width, height, rate_hz } = format(can.width?.max, can.height?.max, can.frameRate?.max);
    const controls = CONTROLS.filter((name) => name in can).length;
    return { max_width: width, max_height: height, max_rate_hz: rate_hz, controls };
  }

  /** Hands reports to `send` from now on; called again, it begins anew. */
  start(send) {
    clearInterval(this.#timer);
    const say = () => {
      const report = this.report();
      if (report && !this.#stopped) send(report);
      if (report) this.#count();
    };
    this.#timer = setInterval(say, AGAIN_MS);
    say();
  }

  stop() {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#video.srcObject = null;
  }
}
