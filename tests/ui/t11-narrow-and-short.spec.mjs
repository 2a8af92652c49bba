// T11: at 320 px (which is 400 % zoom), and on a phone whose keyboard is up, the composer is seen and nothing runs out sideways.
import assert from 'node:assert/strict';
import { answered, promise, visit, world } from './harness.mjs';
import { WELCOME, everything, goTo, named, screens } from './screens.mjs';

const it = world({ env: { QUEUE__MAX_ATTEMPTS: '1' } });
const LONG = 'Ein_sehr_langes_Wort_ohne_eine_einzige_Stelle_an_der_man_es_trennen_kann_und_noch_mehr_davon_bis_es_nicht_mehr_passt';

/** What is wider than the page, or runs out of it. */
const sideways = (page) => page.evaluate(() => {
  const width = document.documentElement.clientWidth;
  const out = [];
  if (document.documentElement.scrollWidth > width) out.push(`the page is ${document.documentElement.scrollWidth} px wide`);
  // What is scrolled is the middle; the frame around it stays.
  const { scrollHeight, clientHeight } = document.documentElement;
  if (document.querySelector('.shell') && scrollHeight > clientHeight) out.push(`the page itself scrolls: ${scrollHeight} of ${clientHeight} px`);
  const main = document.querySelector('main');
  if (main.scrollWidth > main.clientWidth) out.push(`main is ${main.scrollWidth} of ${main.clientWidth} px`);
  for (const node of document.querySelectorAll('main *, header *')) {
    const { left, right, width: wide } = node.getBoundingClientRect();
    if (!wide || node.closest('.sr, .off-screen, .skip, .scroll, pre, [hidden], svg, .tabs')) continue;
    if (right > width + 1 || left < -1) out.push(`${node.localName}.${node.className}: ${Math.round(left)}–${Math.round(right)}`);
  }
  return out.slice(0, 5);
});

const seen = (page, selector) => page.locator(selector).first().evaluate((node) => {
  const { top, bottom, left, right } = node.getBoundingClientRect();
  const on = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  return top >= 0 && bottom <= innerHeight + 0.5 && left >= 0 && right <= innerWidth + 0.5 && (on === node || node.contains(on) || on.contains(node));
});

for (const [what, width, height] of [['320 px wide', 320, 640], ['a phone with its keyboard up', 390, 380]]) {
  promise(`${what}: the composer is seen and nothing runs out sideways, empty and full`, {}, async ({ open }) => {
    const person = await it.server.account();
    const page = await visit(await open(it.browser, { url: it.server.url, as: person, width, height, hasTouch: true, isMobile: true }), it.server.url);
    assert.ok(await seen(page, '#composer'), 'the composer of an empty chat');
    assert.deepEqual(await sideways(page), [], 'an empty chat');
    await page.fill('#composer', `/echo # ${LONG}\n\n${LONG}\n\n| ${LONG} | b | c |\n|---|---|---|\n| 1 | 2 | 3 |\n\n\`\`\`\n${LONG} ${LONG}\n\`\`\`\n\nhttps://example.com/${LONG}\n\n${'Words and more words. '.repeat(60)}`);
    await page.getByRole('button', { name: 'Send' }).click();
    await answered(page, 1);
    assert.deepEqual(await sideways(page), [], 'a full chat');
    for (const at of [0, 0.5, 1]) {
      await page.evaluate((part) => { const main = document.getElementById('main'); main.scrollTop = part * main.scrollHeight; }, at);
      assert.ok(await seen(page, '#composer'), `the composer, scrolled to ${at}`);
      assert.ok(await seen(page, '.composer button.act'), `Send, scrolled to ${at}`);
    }
    await page.focus('#composer');
    assert.ok(await seen(page, '#composer'), 'with the focus in it');
    assert.ok(await page.locator('#composer').evaluate((box) => parseFloat(getComputedStyle(box).fontSize)) >= 16, 'no zoom at the focus');
  });
}

let full;
for (const language of ['en', 'bn']) {
  promise(`at 320 px, and on a phone with its keyboard up, no screen runs out sideways (${language})`, { timeout: 240_000 }, async ({ open }) => {
    full ??= await everything(it, LONG.slice(0, 60));
    const found = [];
    const look = async (page, where) => {
      for (const [width, height] of [[320, 640], [390, 380]]) {
        await page.setViewportSize({ width, height });
        await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
        found.push(...(await sideways(page)).map((one) => `${where} ${width}: ${one}`));
        // Each control can be reached: when it is scrolled to, as the Tab key does, nothing lies over it.
        found.push(...(await page.evaluate(() => {
          const main = document.querySelector('main');
          const controls = [...main.querySelectorAll('button, a, input, select, textarea')].filter((node) => node.checkVisibility({ visibilityProperty: true }) && !node.closest('.scroll, .composer, .tabs, svg'));
          return controls.flatMap((node) => {
            node.scrollIntoView({ block: 'nearest' });
            const { top, bottom, left, right } = node.getBoundingClientRect();
            const on = document.elementFromPoint((Math.max(0, left) + Math.min(innerWidth, right)) / 2, (top + bottom) / 2);
            return on && (on === node || node.contains(on) || on.contains(node)) ? [] : [`${node.outerHTML.slice(0, 80)} cannot be reached at ${Math.round(top)}`];
          }).slice(0, 4);
        })).map((one) => `${where} ${width}: ${one}`));
      }
    };
    const welcome = await visit(await open(it.browser, { url: it.server.url, language, width: 320, height: 640, hasTouch: true, isMobile: true }), it.server.url, 'welcome/sign-in');
    for (const form of WELCOME) {
      await goTo(welcome, `welcome/${form}`, '.welcome form', language);
      await look(welcome, `welcome/${form}`);
    }
    const page = await visit(await open(it.browser, { url: it.server.url, as: full.person, language, width: 320, height: 640, hasTouch: true, isMobile: true }), it.server.url);
    for (const [address, sign] of screens(full.ids)) {
      await goTo(page, address, sign, language);
      await look(page, named(address));
      if (process.env.UI_PICTURES) await page.screenshot({ path: `${process.env.UI_PICTURES}/${named(address).replaceAll('/', '-')}-${language}.png` });
    }
    assert.deepEqual(found, []);
  });
}
