/** A prompt and the text that a model makes of it, the piece that came last marked. */
export function NewestText({ prompt, text, newest }: { prompt: string; text: string; newest: string }): React.ReactNode {
  const marked = newest !== '' && text.endsWith(newest) ? newest : '';
  // A piece brings the space before it along, which isn't part of the word to mark.
  const word = marked.trimStart();
  return (
    <p className="generated">
      <b>{prompt}</b>
      {text.slice(0, text.length - word.length)}
      {word !== '' && <mark>{word}</mark>}
    </p>
  );
}
