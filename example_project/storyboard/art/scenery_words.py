"""List the words by which a place, an hour, a weather or a thing is known; more languages fit in.

A word with a question mark behind it only hints: it counts for less.
"""

# ruff: noqa: RUF001 # words in Cyrillic letters, which look like Latin ones
from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DETAILS", "PLACES", "TIMES", "WEATHERS"]

PLACES: Final[Mapping[str, str]] = {
    "sea": "sea seas ocean wave waves tide shore beach harbour harbor boat boats ship ships sail "
    "sails coast island bay cliff cliffs lighthouse fisherman lake "
    "meer mer océan mare océano море волны θάλασσα",
    "forest": "forest forests wood? woods woodland tree trees pine pines oak oaks fir firs jungle "
    "thicket grove wald bäume forêt arbres bosque selva foresta лес лесу деревья δάσος",
    "town": "town towns city cities street streets market square tower? towers? village roof roofs "
    "shop shops alley avenue bridge? chimney? chimneys? gate station? crowd? merchant balcony "
    "church? stadt straße dorf ville rue village ciudad calle città город улица деревня πόλη",
    "desert": "desert deserts dune dunes sand sands camel camels caravan oasis wüste désert "
    "desierto deserto пустыня έρημος",
    "mountains": "mountain mountains peak peaks summit summits pass? valley ridge glacier alps "
    "berg berge montagne montagnes montaña montañas montagna горы гора βουνό",
    "home": "room rooms kitchen window table? bed? stove hearth fireplace desk chair? armchair "
    "carriage library stairs? cellar ceiling bench? zimmer küche chambre cuisine habitación "
    "cocina cucina комната кухня дома δωμάτιο σπίτι",
    "meadow": "field fields meadow meadows farm garden grass hill hills road? roads path? orchard "
    "flowers wheat barn country feld wiese champ prairie campo prado поле луг дорога λιβάδι",
}
TIMES: Final[Mapping[str, str]] = {
    "night": "night nights midnight moon moonlight star? stars? starlight dark? darkness? asleep? "
    "lantern? lanterns? nacht nuit noche notte ночь ночью луна νύχτα",
    "dusk": "dusk evening evenings sunset twilight afternoon? supper? abend soir crépuscule "
    "tarde вечер вечером закат βράδυ",
    "dawn": "dawn morning mornings sunrise daybreak breakfast? cockcrow matin aube mañana alba "
    "mattina morgen утро утром рассвет πρωί αυγή",
    "day": "noon midday daylight sun? sunny sunlight summer? bright? jour jours día "
    "giorno день солнце μέρα ήλιος",
}
WEATHERS: Final[Mapping[str, str]] = {
    "storm": "storm storms thunder lightning tempest gale hurricane sturm orage tormenta буря",
    "rain": "rain rains rainy raining drizzle umbrella? spray? regen pluie lluvia "
    "pioggia дождь βροχή",
    "snow": "snow snows snowy snowbound ice? icy frost frozen? winter? blizzard? flakes schnee "
    "neige nieve neve снег зима χιόνι",
    "fog": "fog foggy mist misty haze nebel brouillard brume niebla nebbia туман ομίχλη",
    "clear": "clear cloudless sun? sunny stars? moon? bright? hot?",
}
DETAILS: Final[Mapping[str, str]] = {
    "lighthouse": "lighthouse beacon leuchtturm phare faro маяк φάρος",
    "boat": "boat boats ship ships sail sails mast? schiff bateau barco barca корабль",
    "train": "train trains railway rails? locomotive zug tren treno поезд τρένο",
    "house": "house houses home? cottage cabin hut farm haus maison casa дом σπίτι",
    "fire": "fire fires flame? flames campfire bonfire feuer feu fuego fuoco костёр φωτιά",
    "market": "market stall stalls awning awnings merchant? markt marché mercado mercato рынок",
    "birds": "bird birds gull gulls crow crows swallow swallows geese vögel oiseaux pájaros птицы",
    "town": "town towns city village walls? roofs? gate? towers? square?",
    "crowd": "crowd people everybody children men? women? passengers menschen gens gente люди",
}
