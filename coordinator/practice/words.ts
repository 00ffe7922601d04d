const NOUNS =
  'courage computer river mountain music engine harbour lantern garden thunder copper violin bridge forest pepper anchor basket candle desert eagle ' +
  'feather glacier hammer island jungle kettle ladder magnet needle orchard pencil quarry ribbon saddle temple umbrella valley willow yarn acid ' +
  'bacteria carbon dialect enzyme fossil genus hormone insect juice kidney lizard mineral nerve oxygen planet quartz root seed tissue uniform ' +
  'vaccine whale academy ballot contract debt election festival government hospital insurance judge king law merchant navy opinion parliament ' +
  'quarrel religion senate treaty university village wage army battle castle dagger empire flag general horse invasion knight lance ' +
  'monument nation officer palace queen rebellion shield throne victory warrior anger beauty comfort doubt envy faith grief hope ' +
  'joy kindness love memory pride sorrow trust wisdom artist baker carpenter doctor engineer farmer guide hunter lawyer ' +
  'musician nurse painter sailor tailor teacher weaver writer apple bread cheese honey lemon onion potato rice salt soup sugar wine ' +
  'boat cart ferry tunnel wheel clock coin drum flute glass key lamp mirror pillow rope spoon ticket vase window';
const VERBS =
  'dance abandon borrow climb deliver examine forgive gather harvest imagine judge kneel listen measure navigate obey paint question repair ' +
  'search translate unite wander yield accelerate boil carve dissolve evaporate freeze grind heat inflate launch melt oscillate ' +
  'polish rotate stretch twist vibrate weld argue build carry drink explain follow greet hide invent join laugh march ' +
  'notice offer pray quarrel remember sing think understand visit whisper';
const ADJECTIVES =
  'quick brave calm deep early fragile gentle hollow idle jealous keen loyal mild narrow odd proud quiet rapid sharp tender ' +
  'urban vague warm young abstract bitter circular dense elastic fluid genuine humid infinite liquid mutual nuclear organic polar ' +
  'remote silent tropical uniform vertical wooden ancient bright coarse distant empty fertile golden heavy innocent lazy modern noble';
const ADVERBS =
  'slowly always barely closely deliberately eagerly freely gladly hardly inwardly justly kindly loudly merely nearly openly partly quietly ' +
  'rarely sadly truly usually vividly widely abruptly briefly clearly daily evenly firmly gravely honestly';

function entries(words: string, partOfSpeech: string): Array<readonly [string, string]> {
  return words.split(' ').map((word) => [word, partOfSpeech] as const);
}

/** What practice asks the model to define: [word, part of speech], nouns most often, as in the dictionary that it learned from. */
export const WORDS: ReadonlyArray<readonly [string, string]> = [
  ...entries(NOUNS, 'noun'),
  ...entries(VERBS, 'verb'),
  ...entries(ADJECTIVES, 'adjective'),
  ...entries(ADVERBS, 'adverb'),
];
