"""False alarms and hits of the suspicions on real speech: ``python benchmarks/dsp/detectors.py`` (needs espeak-ng).

Voices, languages, tempos and pitches of espeak-ng speak what people say on the telephone; half of the voices were not
looked at when the thresholds were chosen ("held out"). Each stream is read rightly, clean and with noise, and in eleven
wrong ways. A stream counts as a hit, or a false alarm, if the suspicion was told at all.
"""

from __future__ import annotations

import collections
import itertools
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import scipy.signal
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from voxpipe.audio import ALAW8, SLIN8, SLIN24, ULAW8, AudioFormat
from voxpipe.dsp import alaw_encode, ulaw_encode
from voxpipe.dsp.diagnosis import Diagnosis

SLIN16 = AudioFormat.parse("slin16")
TEXTS = {
    "en": "Hello, I would like to know whether my order from last week has already been shipped, because I have not "
    "received any message about it yet. My customer number is four seven one one, and the name is Miller. No, the "
    "other address, the one in Baker Street. Could you also tell me what time the pharmacy closes today?",
    "de": "Guten Tag, ich wollte fragen, ob mein Paket schon unterwegs ist, denn ich habe noch keine Nachricht "
    "bekommen. Meine Kundennummer lautet vier sieben eins eins. Nein, die andere Adresse, die in der Bahnhofstrasse.",
    "fr": "Bonjour, je voudrais savoir si ma commande est deja partie, parce que je n'ai recu aucun message. Mon "
    "numero de client est quatre sept un un. Non, l'autre adresse, celle de la rue de la gare.",
    "es": "Buenos dias, queria saber si mi pedido ya ha salido, porque no he recibido ningun mensaje. Mi numero de "
    "cliente es cuatro siete uno uno. No, la otra direccion, la de la calle mayor.",
    "nl": "Goedendag, ik wilde vragen of mijn pakket al onderweg is, want ik heb nog geen bericht gekregen. Mijn "
    "klantnummer is vier zeven een een. Nee, het andere adres, dat in de stationsstraat.",
    "pl": "Dzien dobry, chcialem zapytac, czy moja paczka jest juz w drodze, bo nie dostalem zadnej wiadomosci. Moj "
    "numer klienta to cztery siedem jeden jeden. Nie, ten drugi adres, ten przy dworcu.",
    "pt": "Bom dia, queria saber se a minha encomenda ja foi enviada, porque nao recebi nenhuma mensagem. O meu numero "
    "de cliente e quatro sete um um. Nao, a outra morada, a da rua da estacao.",
    "sv": "God dag, jag ville fraga om mitt paket redan ar pa vag, for jag har inte fatt nagot meddelande. Mitt "
    "kundnummer ar fyra sju ett ett. Nej, den andra adressen, den pa stationsgatan.",
}
CHOSEN = ["en-us", "en-gb", "en-us+m3", "en-us+m7", "en-us+f2", "en-us+f4", "de", "de+f2", "fr", "fr+f3", "es", "es+f4"]
HELD_OUT = ["nl", "nl+f1", "pl", "pl+f5", "pt", "pt+f3", "sv", "sv+f2", "en-us+m1", "en-us+m5", "en-us+f1", "en-us+f5"]
MANNERS = [(130, 50), (165, 35), (165, 50), (165, 70), (210, 50)]
"""Words a minute, and pitch of 0 to 99."""
NOISES_DB = (None, -40, -20)

Wave = NDArray[np.float64]


def swapped(audio: bytes) -> bytes:
    """Exchange the bytes of each sample."""
    return np.frombuffer(audio, "<i2").byteswap().tobytes()


RIGHT: list[tuple[str, AudioFormat, int, Callable[[bytes], bytes]]] = [
    ("slin8", SLIN8, 8_000, bytes),
    ("slin16", SLIN16, 16_000, bytes),
    ("slin24", SLIN24, 24_000, bytes),
    ("ulaw8", ULAW8, 8_000, ulaw_encode),
    ("alaw8", ALAW8, 8_000, alaw_encode),
]
WRONG: list[tuple[str, AudioFormat, int, Callable[[bytes], bytes], str]] = [
    ("slin8, byte-swapped", SLIN8, 8_000, swapped, "byte-swapped"),
    ("slin24, byte-swapped", SLIN24, 24_000, swapped, "byte-swapped"),
    ("mu-law as slin8", SLIN8, 8_000, ulaw_encode, "ulaw"),
    ("A-law as slin8", SLIN8, 8_000, alaw_encode, "alaw"),
    ("A-law as mu-law", ULAW8, 8_000, alaw_encode, "alaw"),
    ("slin8 as mu-law", ULAW8, 8_000, bytes, "slin"),
    ("8 kHz as 24 kHz", SLIN24, 8_000, bytes, "fast"),
    ("8 kHz as 16 kHz", SLIN16, 8_000, bytes, "fast"),
    ("24 kHz as 8 kHz", SLIN8, 24_000, bytes, "slow"),
    ("16 kHz as 8 kHz", SLIN8, 16_000, bytes, "slow"),
    ("24 kHz as 16 kHz", SLIN16, 24_000, bytes, "slow"),
]


def speak(voice: str, words_a_minute: int, pitch: int, folder: Path) -> Wave:
    """Have espeak-ng speak the text of the voice's language twice; return samples at its own rate."""
    file = folder / "speech.wav"
    text = TEXTS[voice.partition("+")[0].partition("-")[0]]
    command = ["espeak-ng", "-v", voice, "-s", str(words_a_minute), "-p", str(pitch), "-w", str(file), f"{text} {text}"]
    subprocess.run(command, check=True)
    with file.open("rb") as wav:
        data = wav.read()
    samples = np.frombuffer(data[44 : 44 + (len(data) - 44) // 2 * 2], "<i2").astype(np.float64)
    return samples / np.abs(samples).max() * 9_000


def at_rate(wave: Wave, rate_hz: int) -> Wave:
    """Convert from espeak-ng's 22 050 Hz."""
    divisor = int(np.gcd(rate_hz, 22_050))
    return np.asarray(scipy.signal.resample_poly(wave, rate_hz // divisor, 22_050 // divisor))


def streams(voices: list[str]) -> Iterator[Wave]:
    """Every voice in every manner."""
    with tempfile.TemporaryDirectory() as folder:
        cases = list(itertools.product(voices, MANNERS))
        for voice, (tempo, pitch) in track(cases, "voices", console=Console(stderr=True)):
            yield speak(voice, tempo, pitch, Path(folder))


def suspicions(format: AudioFormat, audio: bytes) -> tuple[int, set[str]]:
    """Listen to a stream by the frame; return its seconds and what was told."""
    diagnosis = Diagnosis(format)
    seconds, names = 0, set()
    for at in range(0, len(audio) - format.frame_bytes + 1, format.frame_bytes):
        if (second := diagnosis.add(audio[at : at + format.frame_bytes])) is not None:
            seconds += 1
            names |= {suspicion.name for suspicion in second.suspicions}
    return seconds, names


def noisy(wave: Wave, noise_db: int | None, rng: np.random.Generator) -> bytes:
    """Add white noise at a level below the speech, and round."""
    if noise_db is not None:
        wave = wave + rng.normal(0, wave.std() * 10 ** (noise_db / 20), wave.size)
    return np.rint(wave).clip(-32_768, 32_767).astype("<i2").tobytes()


def measure(voices: list[str]) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Count ``[streams, seconds, streams with any suspicion]`` read rightly, and ``[streams, hits]`` read wrongly."""
    rng = np.random.default_rng(1)
    right: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0, 0])
    wrong: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
    for wave in streams(voices):
        rates = {rate_hz: at_rate(wave, rate_hz) for rate_hz in (8_000, 16_000, 24_000)}
        for (name, format, rate_hz, encode), noise_db in itertools.product(RIGHT, NOISES_DB):
            seconds, names = suspicions(format, encode(noisy(rates[rate_hz], noise_db, rng)))
            row = right[name]
            row[0], row[1], row[2] = row[0] + 1, row[1] + seconds, row[2] + bool(names)
        for name, format, rate_hz, spoil, expected in WRONG:
            _, names = suspicions(format, spoil(noisy(rates[rate_hz], -40, rng)))
            wrong[name][0] += 1
            wrong[name][1] += expected in names
    return right, wrong


def main() -> None:
    """Print false alarms and hits of both sets of voices."""
    console = Console(highlight=False)
    for title, voices in (("voices the thresholds were chosen on", CHOSEN), ("held-out voices", HELD_OUT)):
        right, wrong = measure(voices)
        table = Table("read as", "streams", "seconds", "told", title=title, title_justify="left")
        for name, (count, seconds, told) in right.items():
            table.add_row(f"{name}, rightly", str(count), str(seconds), f"{told} false alarms")
        table.add_section()
        for name, (count, hits) in wrong.items():
            table.add_row(name, str(count), "", f"{hits} hits ({100 * hits / count:.0f} %)")
        console.print(table)


if __name__ == "__main__":
    main()
