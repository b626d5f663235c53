using System;
using System.Collections.Frozen;

namespace RetrievalEngine.Search;

/// <summary>
/// BM25's terms: maximal runs of <c>a</c> to <c>z</c> and <c>0</c> to <c>9</c> in the lower-cased text, without Lucene's 33 English stop words, not
/// stemmed.
/// </summary>
internal ref struct Bm25Tokenizer
{
    private static readonly FrozenSet<string>.AlternateLookup<ReadOnlySpan<char>> s_stopWords = FrozenSet.Create(
        StringComparer.Ordinal,
        "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of", "on", "or", "such", "that",
        "the", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with").GetAlternateLookup<ReadOnlySpan<char>>();

    private readonly ReadOnlySpan<char> _text;
    private char[] _term;
    private int _at;

    /// <summary>Starts at the beginning of <paramref name="text"/>.</summary>
    public Bm25Tokenizer(ReadOnlySpan<char> text)
    {
        _text = text;
        _term = new char[64];
    }

    /// <summary>The next term, valid until the next call; false at the end.</summary>
    public bool TryNext(out ReadOnlySpan<char> term)
    {
        while (_at < _text.Length)
        {
            int length = 0;
            while (_at < _text.Length && Lower(_text[_at]) is var c and not '\0')
            {
                if (length == _term.Length) Array.Resize(ref _term, 2 * length);
                _term[length++] = c;
                _at++;
            }

            _at++;
            term = _term.AsSpan(0, length);
            if (length > 0 && !s_stopWords.Contains(term)) return true;
        }

        term = default;
        return false;
    }

    /// <summary>
    /// The lower-case letter or digit, or 0 for what separates terms. Two characters outside ASCII have an ASCII letter as lower case.
    /// </summary>
    private static char Lower(char c) => c switch
    {
        (>= 'a' and <= 'z') or (>= '0' and <= '9') => c,
        >= 'A' and <= 'Z' => (char)(c | 0x20),
        '\u212A' => 'k',
        '\u0130' => 'i',
        _ => '\0',
    };
}
