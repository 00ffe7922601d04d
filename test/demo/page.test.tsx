import { renderToStaticMarkup } from 'react-dom/server';
import { expect, test } from 'vitest';
import { Page } from './page/page.tsx';
import { type Chapter, newStory, tell } from './story.ts';

test('the page is marked as a local demonstration whatever it shows, and draws every chapter of it', () => {
  const chapters: Chapter[] = ['setting-up', 'lying', 'asking', 'killing', 'paying', 'over'];
  for (const chapter of chapters) {
    for (const link of ['live', 'ended', 'refused'] as const) {
      const html = renderToStaticMarkup(<Page story={tell(newStory(), { fact: 'chapter', chapter }, 0)} link={link} />);
      expect(html).toContain('<strong>Local demonstration</strong>');
      expect(html.includes(`data-chapter="${chapter}"`)).toBe(link !== 'refused');
    }
  }
});
