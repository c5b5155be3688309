import { describe, expect, it } from '@jest/globals';
import { repeatedNames } from '#contracts/repeated-names';

describe('Names that stand twice in one object', () => {
  it.each<[string, string, string[]]>([
    ['are found', '{"a":1,"a":2}', ['a']],
    ['are found each time but the first', '{"a":1,"a":2,"a":3}', ['a', 'a']],
    ['are found however they are spelled', '{"a":1,"\\u0061" :2}', ['a']],
    ['are found with quotes and backslashes in them', '{"a\\"\\\\":1,"a\\"\\\\":2}', ['a"\\']],
    ['are found behind space and line breaks', '{"a"\n\t: 1, "a" \r :2}', ['a']],
    ['are found deep inside', '{"a":{"b":[0,{"c":1,"c":2}]}}', ['a.b.1.c']],
    ['are found when they are empty, or what every object has', '{"":1,"":2,"__proto__":1,"__proto__":2}', ['', '__proto__']],
    ['are not found in two objects', '[{"a":1},{"a":1,"b":{"a":1}}]', []],
    ['are not found in text', '{"a":"\\"a\\":1","b":"a:","c":["a","a"]}', []],
    ['are not found where there are none', ' 1 ', []],
  ])('%s', (_, text, found) => {
    JSON.parse(text);
    expect(repeatedNames(text).map((path) => path.join('.'))).toEqual(found);
  });
});
