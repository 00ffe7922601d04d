/** What a part of the torture did, and everything it found wrong. */
export interface Finding {
  did: string;
  wrong: string[];
}

/** Collects what is wrong instead of stopping at the first. */
export function checks(): { wrong: string[]; expect: (right: boolean, otherwise: string) => void } {
  const wrong: string[] = [];
  return {
    wrong,
    expect: (right, otherwise) => {
      if (!right) wrong.push(otherwise);
    },
  };
}

/** What two parts of one came to. */
export function both(one: Finding, other: Finding): Finding {
  return { did: `${one.did}\n  ${other.did}`, wrong: [...one.wrong, ...other.wrong] };
}
