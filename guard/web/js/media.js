// One peer connection per page: sends camera and microphone, receives everybody else.
// The page is always the offerer. It offers again as people come and go; the m-lines of
// somebody who left are switched off and used again for the next person.

const CHANNEL = "guard";

/** Events: stream (detail = {participant, stream}), alert (a parsed channel message), failed. */
export class Media extends EventTarget {
  #room;
  #pc;
  #slots = new Map();
  #free = [];
  #wanted = [];
  #running = null;
  #again = false;
  #fresh;
  #early = [];
  #offered = false;
  #channel = null;
  #closed = false;

  /** `fresh` replaces an earlier connection of this page that broke. */
  constructor(room, iceServers, local, fresh) {
    super();
    this.#room = room;
    this.#fresh = fresh;
    this.#pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    // An m=application line lets guard open its own channel; this one is never used.
    this.#pc.createDataChannel("placeholder", { negotiated: true, id: 1000 });
    this.#pc.ondatachannel = (event) => this.#take(event.channel);
    this.#pc.onicecandidate = (event) => this.#candidate(event.candidate);
    this.#pc.onconnectionstatechange = () => {
      if (this.#pc.connectionState === "failed") this.#fail();
    };
    for (const track of local?.getTracks() ?? []) {
      this.#pc.addTransceiver(track, { direction: "sendonly", streams: [local] });
    }
  }

  /** Receives exactly these participants from now on. */
  receive(participants) {
    this.#wanted = participants;
    return this.negotiate();
  }

  /** Offers until the connection is what is wanted; calls during an exchange are joined into one more. */
  negotiate() {
    this.#again = true;
    this.#running ??= this.#exchange().finally(() => { this.#running = null; });
    return this.#running;
  }

  async #exchange() {
    while (this.#again && !this.#closed && this.#pc.signalingState !== "closed") {
      this.#again = false;
      this.#arrange();
      await this.#pc.setLocalDescription();
      try {
        const answer = this.#room.offer(this.#pc.localDescription.sdp, this.#subscriptions(), this.#fresh);
        this.#offered = true;
        for (const candidate of this.#early.splice(0)) this.#candidate(candidate);
        const sdp = await answer;
        if (this.#closed) return;
        await this.#pc.setRemoteDescription({ type: "answer", sdp });
        this.#fresh = false;
      } catch (error) {
        if (this.#closed) return;
        if (this.#pc.signalingState === "have-local-offer") await this.#pc.setLocalDescription({ type: "rollback" });
        this.dispatchEvent(new CustomEvent("refused", { detail: error }));
        return;
      }
    }
  }

  #arrange() {
    for (const [participant, slot] of this.#slots) {
      if (this.#wanted.includes(participant)) continue;
      for (const transceiver of slot) transceiver.direction = "inactive";
      this.#slots.delete(participant);
      this.#free.push(slot);
    }
    for (const participant of this.#wanted) {
      if (this.#slots.has(participant)) continue;
      const slot = this.#free.pop() ?? ["audio", "video"].map((kind) => this.#pc.addTransceiver(kind, { direction: "recvonly" }));
      for (const transceiver of slot) transceiver.direction = "recvonly";
      this.#slots.set(participant, slot);
      const stream = new MediaStream(slot.map((transceiver) => transceiver.receiver.track));
      this.dispatchEvent(new CustomEvent("stream", { detail: { participant, stream } }));
    }
  }

  #subscriptions() {
    const wanted = {};
    for (const [participant, slot] of this.#slots) {
      for (const transceiver of slot) wanted[transceiver.mid] = participant;
    }
    return wanted;
  }

  #candidate(candidate) {
    if (!candidate) return;
    if (!this.#offered) this.#early.push(candidate);
    else this.#room.send({ type: "candidate", candidate: candidate.candidate, mid: candidate.sdpMid });
  }

  #take(channel) {
    if (channel.label !== CHANNEL) return;
    this.#channel = channel;
    channel.onmessage = (event) => {
      let message;
      try {
        message = JSON.parse(event.data);
      } catch {
        return; // not for this page
      }
      this.dispatchEvent(new CustomEvent("channel", { detail: message }));
    };
  }

  /** Acknowledges over the channel; false where there is none. */
  acknowledge(id) {
    if (this.#channel?.readyState !== "open") return false;
    this.#channel.send(JSON.stringify({ v: 1, type: "ack", id }));
    return true;
  }

  #fail() {
    if (!this.#closed) this.dispatchEvent(new CustomEvent("failed"));
  }

  /** Frames and packets of every stream, for tests and for support. */
  async stats() {
    const owner = new Map();
    for (const [participant, slot] of this.#slots) {
      for (const transceiver of slot) owner.set(transceiver.mid, participant);
    }
    const found = { connection: this.#pc.connectionState, channel: this.#channel?.readyState ?? null, sent: [], received: [] };
    for (const report of (await this.#pc.getStats()).values()) {
      if (report.type === "outbound-rtp") found.sent.push(pick(report, ["kind", "framesEncoded", "framesPerSecond", "packetsSent"]));
      if (report.type === "inbound-rtp") {
        const names = ["kind", "framesDecoded", "framesDropped", "framesPerSecond", "packetsReceived", "packetsLost", "freezeCount"];
        found.received.push({ participant: owner.get(report.mid) ?? null, ...pick(report, names) });
      }
    }
    return found;
  }

  close() {
    this.#closed = true;
    this.#pc.close();
  }
}

const pick = (report, names) => Object.fromEntries(names.map((name) => [name, report[name] ?? null]));

/** What the camera is asked for. */
export const WANTED_VIDEO = { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 30, max: 30 } };

/** Opens camera and microphone; null where neither can be used. */
export async function openCamera() {
  if (!navigator.mediaDevices) return null; // not a secure address
  const video = WANTED_VIDEO;
  const attempts = [{ audio: true, video }, { audio: true }, { video }];
  for (const wanted of attempts) {
    try {
      return await navigator.mediaDevices.getUserMedia(wanted);
    } catch (error) {
      if (error.name === "NotAllowedError") return null;
    }
  }
  return null;
}
