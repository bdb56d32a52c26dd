"""A check without a network: rendered pictures, VP8, FaceMesh and the real judges, in virtual time."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from guard.app.check_tools import check_tools
from guard.app.check_words import command_event, over_event, show_message
from guard.challenge.check import Check
from guard.challenge.commands import CheckKind, Gesture
from guard.challenge.draw import Used
from guard.challenge.outputs import AttemptOver, CheckConfig, Output, Show
from guard.challenge.sight import SightMemory, make_sight
from guard.codec.encode import VideoEncoder
from guard.codec.video import PictureDecoder, rgb
from guard.demo.puppet import Puppet
from guard.demo.puppet_actor import Performer
from guard.media.banner import rgb_to_yuv420
from guard.policy.texts import load_texts
from guard.types import ImageArray, Kind, TrackKey, VideoFrame
from guard.windows.face_models import FaceModels, Mesh
from guard.windows.faces import FaceWindowConfig, FaceWindows

FPS = 15
WHO = ("call", "customer")


class Dice(random.Random):
    """Chance, but for the commands of the first attempt."""

    def __init__(self, seed: int, first: Sequence[Gesture]) -> None:
        super().__init__(seed)
        self._first = list(first)

    def sample(self, population: Sequence[Any], k: int, *, counts: Iterable[int] | None = None) -> list[Any]:
        wanted = [gesture for gesture in self._first if gesture in population]
        if not wanted:
            return super().sample(population, k, counts=counts)
        self._first = []
        others = [gesture for gesture in population if gesture not in wanted]
        return [*wanted, *super().sample(others, max(k - len(wanted), 0))][:k]


class Rig:
    """One person in front of one check; the person sees messages, the check sees decoded pictures.

    ``first`` is what the first attempt asks for, as far as it goes; ``without`` is not asked at all.
    """

    def __init__(
        self,
        puppet: Puppet,
        models: FaceModels,
        performer: Performer,
        seed: int,
        *,
        first: Sequence[Gesture] = (),
        without: Sequence[Gesture] = (),
        kind: CheckKind = CheckKind.VISUAL,
    ) -> None:
        self.attempts: list[AttemptOver] = []
        self.now = 100.0
        self._puppet, self._performer = puppet, performer
        self._encoder = VideoEncoder("vp8", 640, 360, bit_rate=1_200_000)
        self._decoder = PictureDecoder("vp8")
        self._faces = FaceWindows(TrackKey(*WHO, Kind.VIDEO), FaceWindowConfig(), models, self._looked)
        self._memory = SightMemory()
        self._texts = load_texts()
        self._tools = check_tools(CheckConfig(), None)
        self._dice = Dice(seed, first)
        self._without = frozenset(without)
        self._kind = kind
        self._last: ImageArray | None = None
        self.check = self._begun()

    def _begun(self) -> Check:
        tools = self._tools
        return Check(
            self._kind,
            "en",
            drawing=tools.drawing,
            judges={g: judge for g, judge in tools.judges.items() if g not in self._without},
            used=Used(),
            dice=self._dice,
            now=self.now,
            config=tools.config,
        )

    def run(self, most_s: float, *, attempts: int = 99) -> None:
        """Let it run until the check is over, or that many attempts are."""
        end_s = self.now + most_s
        while not self.check.over and len(self.attempts) < attempts and self.now < end_s:
            self.now += 1 / FPS
            self._carry_out(self.check.poll(self.now))
            data, _ = self._encoder.encode(rgb_to_yuv420(self._picture()))
            decoded = self._decoder.decode(data)
            assert decoded is not None
            key = TrackKey(*WHO, Kind.VIDEO)
            self._faces.push(VideoFrame(key, self.now - 100.0, rgb(decoded)))

    def _picture(self) -> ImageArray:
        pose = self._performer.pose(self.now)
        if self._last is None or not self._performer.frozen(self.now):
            self._last = self._puppet.frame(pose)
        return self._last

    def _looked(self, frame: VideoFrame, meshes: Mapping[int, Mesh]) -> None:
        faces = [mesh.points for mesh in meshes.values()]
        sight = make_sight(frame.time_s + 100.0, frame.image, faces, self._memory)
        self._carry_out(self.check.see(sight))

    def _carry_out(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Show):
                told = show_message("check", WHO, output, self.check.commands_least)
                self._say(command_event(told, self._texts))
            elif isinstance(output, AttemptOver):
                self.attempts.append(output)
                head = {"id": "check", "participant": WHO[1], "attempt": output.attempt}
                self._say(over_event(head, output.result.value, self._texts, again=output.again))

    def _say(self, event: Mapping[str, object]) -> None:
        """Hand a message over as text, as a data channel does."""
        self._performer.take(json.loads(json.dumps(event)), self.now)
