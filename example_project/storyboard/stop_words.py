"""The English words that say nothing about what a scene shows; they also begin many sentences."""

from __future__ import annotations

from typing import Final

__all__ = ["STOP_WORDS"]

STOP_WORDS: Final = frozenset(
    """
    a about above across after again against ago ahead all almost alone along already also although
    always am among an and another any anybody anyone anything anyway are aren't around as aside
    ask asked asking at away back be became because become been before began begin beginning begins
    begun behind being below beneath beside besides between beyond both bring brought but by call
    called came can can't cannot close come comes coming could couldn't day days did didn't do does
    doesn't doing don't done down each either else enough even ever every everybody everyone
    everything except far feel felt few find first five for found four from full gave get gets
    getting give given gives go goes going gone good got great had hadn't half has hasn't have
    haven't having he he'd he'll he's hear heard held her here hers herself him himself his hold how
    however i i'd i'll i'm i've if in indeed inside instead into is isn't it it'd it'll it's its
    itself just keep kept knew know known last later laid lay least left less let lets like little
    long look looked looking looks lot made make makes making many may maybe me mean meant might
    mine moment more most much must my myself near nearly need neither never next nine no nobody
    none nor not nothing now nowhere of off often on once one only onto open opened or other others
    our ours out outside over own part past perhaps place put quite ran rather really reach reached
    right round said same sat saw say saying says second see seem seemed seems seen set seven
    several shall she she'd she'll she's should shouldn't side since sit six so some somebody
    someone something sometimes somewhere soon spoke stand started still stood stopped such take
    taken takes taking tell ten than that that's the their theirs them themselves then there
    there's these they they'd they'll they're they've thing things think third this those though
    thought three through throughout thus time times to today together told tomorrow too took
    toward towards tried try turn turned twice two under until unto up upon us used very want
    wanted was wasn't watch watched way we we'd we'll we're we've well went were weren't what
    whatever when whenever where wherever whether which while whisper whispered who whoever whole
    whom whose why will with within without won't word words would wouldn't year years yes yet you
    you'd you'll you're you've young your yours yourself
    """.split()  # noqa: SIM905 # a list of literals would be 400 lines
)
