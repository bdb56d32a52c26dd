"""What decoding one call leg for analysis costs on one thread, with and without loss.

    python -m benchmarks.receive [CLIP]

Takes a clip of VP8 or H.264 and Opus (the demo's genuine customer by default), cuts it
into RTP payloads, drops packets at random with a fixed seed and pushes the rest through
TrackReceiver and AudioWindows. Prints CPU-seconds per media second (thread time) with
what was received, concealed and decoded.
"""

from __future__ import annotations

import json
import platform
import random
import sys
import time
from pathlib import Path

from guard.codec.files import read_file
from guard.codec.packets import read_clip
from guard.codec.receive import ReceiveConfig, TrackReceiver
from guard.media import h264, vp8
from guard.media.clip import Clip
from guard.resources import clips_dir
from guard.types import AudioFrame, AudioWindow, Kind, TapPacket, TrackKey
from guard.windows.audio import AudioWindows

VOICE = TrackKey("benchmark", "customer", Kind.AUDIO)
CAMERA = TrackKey("benchmark", "customer", Kind.VIDEO)
LOSS_RATIOS = (0.0, 0.05)
SEED = 7


def audio_packets(clip: Clip) -> list[TapPacket]:
    return [
        TapPacket(VOICE, "opus", n & 0xFFFF, round(p.time_s * 48_000), False, p.time_s, p.data)
        for n, p in enumerate(clip.audio)
    ]


def video_packets(clip: Clip) -> list[TapPacket]:
    codec = clip.video_codec or "vp8"
    out: list[TapPacket] = []
    for number, frame in enumerate(clip.video):
        if codec == "vp8":
            payloads = vp8.packetize(frame.data, picture_id=number & 0x7FFF)
        else:
            payloads = h264.packetize(frame.data)
        for position, payload in enumerate(payloads):
            marker = position == len(payloads) - 1
            sequence, timestamp = len(out) & 0xFFFF, round(frame.time_s * 90_000)
            out.append(TapPacket(CAMERA, codec, sequence, timestamp, marker, frame.time_s, payload))
    return out


def survivors(packets: list[TapPacket], loss_ratio: float) -> list[TapPacket]:
    chance = random.Random(SEED)
    return [packet for packet in packets if chance.random() >= loss_ratio]


def time_audio(packets: list[TapPacket], seconds: float) -> dict[str, float]:
    receiver, windows = TrackReceiver(VOICE, "opus"), AudioWindows(VOICE)
    start = time.thread_time()
    frames = [frame for packet in packets for frame in receiver.push(packet)]
    decoded = time.thread_time()
    outputs = [one for frame in frames if isinstance(frame, AudioFrame) for one in windows.push(frame)]
    cut = time.thread_time()
    stats = receiver.stats
    return {
        "decode_cpu_s_per_s": round((decoded - start) / seconds, 5),
        "windows_cpu_s_per_s": round((cut - decoded) / seconds, 5),
        "decoded_ratio": round(stats.decoded_s / seconds, 4),
        "concealed_ratio": round(stats.concealed_s / seconds, 4),
        "windows": sum(isinstance(one, AudioWindow) for one in outputs),
    }


def time_video(packets: list[TapPacket], seconds: float, max_fps: float | None) -> dict[str, float]:
    receiver = TrackReceiver(CAMERA, packets[0].codec, ReceiveConfig(max_fps=max_fps))
    start = time.thread_time()
    for packet in packets:
        receiver.push(packet)
    taken = time.thread_time() - start
    return {
        "cpu_s_per_s": round(taken / seconds, 5),
        "cpu_ms_per_frame": round(1000 * taken / max(1, receiver.stats.frames_decoded), 3),
        "decoded": receiver.stats.frames_decoded,
        "emitted": receiver.stats.frames_emitted,
    }


def time_file(path: Path, seconds: float) -> float:
    start = time.thread_time()
    for _ in read_file(path):
        pass
    return round((time.thread_time() - start) / seconds, 5)


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else clips_dir() / "customer_genuine.webm"
    clip = read_clip(path)
    audio, video = audio_packets(clip), video_packets(clip)
    result: dict[str, object] = {
        "clip": path.name,
        "seconds": round(clip.duration_s, 2),
        "video": clip.video_codec,
        "frames": len(clip.video),
        "machine": platform.processor() or platform.machine(),
        "seed": SEED,
        "file_cpu_s_per_s": time_file(path, clip.duration_s),
    }
    for loss_ratio in LOSS_RATIOS:
        result[f"loss_{loss_ratio:.0%}"] = {
            "audio": time_audio(survivors(audio, loss_ratio), clip.duration_s) if audio else None,
            "video_5_fps": time_video(survivors(video, loss_ratio), clip.duration_s, 5.0) if video else None,
            "video_all": time_video(survivors(video, loss_ratio), clip.duration_s, None) if video else None,
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
