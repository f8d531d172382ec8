// What is written, in one line of plain words: without the marks of which text.js makes code, links, bold and lists.

// A block of code (to the end, where a text was cut), what begins a line, `code`, [words](address), an address, **bold**,
// *bold*, _italic_.
const MARK =
  /```[^\n`]*\n(?<block>[\s\S]*?)(?:\n?```|$(?![\s\S]))|^(?: {0,8}[-*•]|#{1,6}) +(?=\S)|`(?<code>[^`\n]+)`|\[(?!\s*www\.|[^[\]\n]*:\/\/)(?<words>[^[\]\n]+)\]\(https?:\/\/[^\s<>"`()]+(?:\([^\s<>"`()]*\)[^\s<>"`()]*)*\)|(?<address>https?:\/\/[^\s<>"`]+)|(?<![\p{L}\p{N}_])(?:\*\*(?!\s)(?<strong>(?:[^*\n]|\*(?!\*))+)(?<!\s)\*\*|\*(?!\s)(?<bold>[^*\n]+)(?<!\s)\*|_(?!\s)(?<italic>[^_\n]+)(?<!\s)_)(?![\p{L}\p{N}_])/gimu;

const bare = (text) =>
  text.replace(MARK, (...found) => {
    const { block, code, words, address, strong, bold, italic } = found.at(-1);
    return block !== undefined ? ` ${block} ` : (code ?? words ?? address ?? bare(strong ?? bold ?? italic ?? ""));
  });

export const plain = (text) => bare(text).replace(/\s+/g, " ").trim();
