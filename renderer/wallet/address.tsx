/** So many characters at a time are what people compare without losing their place. */
const CHUNK = 4;

/** An address in groups, to be compared by eye; copied it is one word. Groups that differ from those of `other` are marked; capitals are the checksum's and no difference. */
export function Chunks({ address, other }: { address: string; other?: string }): React.ReactNode {
  const body = address.startsWith('0x') ? address.slice(2) : address;
  const groups = body.match(new RegExp(`.{1,${CHUNK}}`, 'gs')) ?? [];
  const before = other?.replace(/^0x/, '').toLowerCase();
  return (
    <span className="chunks mono">
      {address.startsWith('0x') && <span>0x</span>}
      {groups.map((group, index) => {
        const same = before === undefined || before.slice(index * CHUNK, index * CHUNK + CHUNK) === group.toLowerCase();
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: groups of one address, none of which moves
          <span key={index} className={same ? undefined : 'differs'}>
            {group}
          </span>
        );
      })}
    </span>
  );
}
