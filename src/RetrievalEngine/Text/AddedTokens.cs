using System;
using System.Buffers;
using System.Collections.Generic;

namespace RetrievalEngine.Text;

/// <summary>A token that is found as it stands, before the model sees the text.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">Its text.</param>
/// <param name="SingleWord">Only between characters that belong to no word.</param>
/// <param name="LeftStrip">Takes the white space in front of it along.</param>
/// <param name="RightStrip">Takes the white space behind it along.</param>
/// <param name="Normalized">Looked for (itself normalised) in normalised text; else in the text as given.</param>
/// <param name="Special">Left out when decoding without special tokens.</param>
internal sealed record AddedToken(int Id, string Content, bool SingleWord, bool LeftStrip, bool RightStrip, bool Normalized, bool Special);

/// <summary>Where an added token was found, with the white space that it takes along.</summary>
internal readonly record struct AddedMatch(AddedToken Token, int Start, int End);

/// <summary>Finds added tokens in a text: the leftmost one, and of several there the longest.</summary>
internal sealed class AddedTokens
{
    private readonly Dictionary<string, AddedToken> _tokens = [];
    private readonly Dictionary<string, AddedToken>.AlternateLookup<ReadOnlySpan<char>> _lookup;
    private readonly SearchValues<char> _firsts;
    private readonly int[] _lengths;

    /// <summary>A finder for tokens with the text to look for; of two with the same text the later one counts.</summary>
    public AddedTokens(IEnumerable<(string Pattern, AddedToken Token)> tokens)
    {
        HashSet<char> firsts = [];
        SortedSet<int> lengths = new(Comparer<int>.Create((a, b) => b.CompareTo(a)));
        foreach ((string pattern, AddedToken token) in tokens)
        {
            if (pattern.Length == 0) continue;
            _tokens[pattern] = token;
            firsts.Add(pattern[0]);
            lengths.Add(pattern.Length);
            IsLocal &= !token.RightStrip && !HasWhiteSpace(pattern);
        }

        _lookup = _tokens.GetAlternateLookup<ReadOnlySpan<char>>();
        _firsts = SearchValues.Create([.. firsts]);
        _lengths = [.. lengths];
    }

    /// <summary>Whether there is nothing to look for.</summary>
    public bool IsEmpty => _tokens.Count == 0;

    /// <summary>Whether a text may be searched in stretches that are cut before a space.</summary>
    public bool IsLocal { get; } = true;

    /// <summary>
    /// Finds the first token that starts in <paramref name="from"/> .. <paramref name="to"/> of <paramref name="text"/>.
    /// </summary>
    /// <param name="text">The whole text: what surrounds a match counts.</param>
    /// <param name="from">Where to go on; moved behind the match, or to <paramref name="to"/>.</param>
    /// <param name="to">Where to give up.</param>
    /// <param name="taken">What lies before belongs to the token before.</param>
    /// <param name="match">The match.</param>
    public bool TryFind(ReadOnlySpan<char> text, ref int from, int to, int taken, out AddedMatch match)
    {
        while (!IsEmpty && from < to && text[from..to].IndexOfAny(_firsts) is >= 0 and int offset)
        {
            from += offset;
            if (Longest(text[from..]) is not ({ } token, int length))
            {
                from++;
                continue;
            }

            int start = from, end = from + length;
            from = end;
            if (token.SingleWord && ((start > 0 && IsWordBefore(text, start)) || (end < text.Length && IsWordAt(text, end)))) continue;
            while (token.LeftStrip && start > taken && char.IsWhiteSpace(text[start - 1])) start--;
            while (token.RightStrip && end < text.Length && char.IsWhiteSpace(text[end])) end++;
            from = end;
            match = new(token, start, end);
            return true;
        }

        from = Math.Max(from, to);
        match = default;
        return false;
    }

    private (AddedToken Token, int Length)? Longest(ReadOnlySpan<char> text)
    {
        foreach (int length in _lengths)
        {
            if (length <= text.Length && _lookup.TryGetValue(text[..length], out AddedToken? token)) return (token, length);
        }

        return null;
    }

    private static bool IsWordAt(ReadOnlySpan<char> text, int index) => CodePointPattern.IsWord(NormalizedText.CodePointAt(text, index, out _));

    private static bool IsWordBefore(ReadOnlySpan<char> text, int index)
    {
        bool pair = index > 1 && char.IsLowSurrogate(text[index - 1]) && char.IsHighSurrogate(text[index - 2]);
        return IsWordAt(text, index - (pair ? 2 : 1));
    }

    private static bool HasWhiteSpace(string text)
    {
        foreach (char c in text)
        {
            if (char.IsWhiteSpace(c)) return true;
        }

        return false;
    }
}
