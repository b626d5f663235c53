using System;
using System.Collections.Generic;
using System.Globalization;

namespace RetrievalEngine.Text;

/// <summary>A stretch of text that a pattern matched, or one between two matches.</summary>
internal readonly record struct SplitMatch(int Start, int End, bool IsMatch);

/// <summary>Finds the parts of a text: matches and what lies between them, in order, covering the text without gaps.</summary>
internal abstract class SplitPattern
{
    /// <summary>Appends the parts of <paramref name="text"/> to <paramref name="parts"/>.</summary>
    public abstract void Find(ReadOnlySpan<char> text, List<SplitMatch> parts);

    /// <summary>Whether parts on both sides of a space behind a letter can be found apart: no part's end depends on what is beyond.</summary>
    public virtual bool IsLocal => false;

    /// <summary>Whether no part crosses the place in front of a space that follows a letter.</summary>
    public virtual bool SeparatesSpaces => false;

    /// <summary>The pattern object of a <c>tokenizer.json</c>: {"String": …} or {"Regex": …}.</summary>
    public static SplitPattern Read(JsonFields pattern)
    {
        if (pattern.Has("String")) return new LiteralPattern(pattern.Text("String"));
        string regex = pattern.Text("Regex");
        if (regex == SpaceRunPattern.Regex) return SpaceRunPattern.Instance;
        return GptPattern.TryCreate(regex) is { } known ? known : RegexPattern.Create(regex, pattern);
    }
}

/// <summary>An exact string.</summary>
internal sealed class LiteralPattern(string literal) : SplitPattern
{
    public override void Find(ReadOnlySpan<char> text, List<SplitMatch> parts)
    {
        int position = 0;
        while (literal.Length > 0 && text[position..].IndexOf(literal, StringComparison.Ordinal) is >= 0 and int offset)
        {
            if (offset > 0) parts.Add(new(position, position + offset, IsMatch: false));
            position += offset;
            parts.Add(new(position, position + literal.Length, IsMatch: true));
            position += literal.Length;
        }

        if (position < text.Length) parts.Add(new(position, text.Length, IsMatch: false));
    }
}

/// <summary>Two spaces or more.</summary>
internal sealed class SpaceRunPattern : SplitPattern
{
    /// <summary>As SentencePiece's tokenizers write it.</summary>
    public const string Regex = " {2,}";

    private SpaceRunPattern()
    {
    }

    /// <summary>The one there is.</summary>
    public static SpaceRunPattern Instance { get; } = new();

    public override bool IsLocal => true;

    public override void Find(ReadOnlySpan<char> text, List<SplitMatch> parts)
    {
        int between = 0;
        for (int i = 0; i < text.Length;)
        {
            int offset = text[i..].IndexOf("  ");
            if (offset < 0) break;
            int start = i + offset, end = start + 2;
            while (end < text.Length && text[end] == ' ') end++;
            if (start > between) parts.Add(new(between, start, IsMatch: false));
            parts.Add(new(start, end, IsMatch: true));
            i = between = end;
        }

        if (between < text.Length) parts.Add(new(between, text.Length, IsMatch: false));
    }
}

/// <summary>Every single code point of a class.</summary>
internal sealed class CodePointPattern(Func<int, bool> isMatch) : SplitPattern
{
    public override bool IsLocal => true;

    public override bool SeparatesSpaces => isMatch(' ');

    public override void Find(ReadOnlySpan<char> text, List<SplitMatch> parts)
    {
        int between = 0;
        for (int i = 0, units; i < text.Length; i += units)
        {
            if (!isMatch(NormalizedText.CodePointAt(text, i, out units))) continue;
            if (between < i) parts.Add(new(between, i, IsMatch: false));
            between = i + units;
            parts.Add(new(i, between, IsMatch: true));
        }

        if (between < text.Length) parts.Add(new(between, text.Length, IsMatch: false));
    }

    /// <summary>Unicode white space.</summary>
    public static bool IsWhiteSpace(int c) => c < 65536 && char.IsWhiteSpace((char)c);

    /// <summary>ASCII punctuation and symbols, and Unicode punctuation: BERT's notion.</summary>
    public static bool IsPunctuation(int c) =>
        c < 128 ? c is (>= '!' and <= '/') or (>= ':' and <= '@') or (>= '[' and <= '`') or (>= '{' and <= '~')
            : UnicodeTables.Is(c, UnicodeTables.Traits.Punctuation);

    /// <summary>Nd, Nl and No.</summary>
    public static bool IsNumeric(int c) => CharUnicodeInfo.GetUnicodeCategory(c)
        is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;

    /// <summary>What <c>\w</c> means in UTS #18: alphabetic, marks, decimal digits, connector punctuation, joiners.</summary>
    public static bool IsWord(int c)
    {
        if (c < 128) return char.IsAsciiLetterOrDigit((char)c) || c == '_';
        return CharUnicodeInfo.GetUnicodeCategory(c) switch
        {
            <= UnicodeCategory.LetterNumber => true,
            UnicodeCategory.ConnectorPunctuation => true,
            UnicodeCategory.Format => c is 0x200C or 0x200D,
            UnicodeCategory.OtherSymbol => c is (>= 0x24B6 and <= 0x24E9) or (>= 0x1F130 and <= 0x1F149) or (>= 0x1F150 and <= 0x1F169)
                or (>= 0x1F170 and <= 0x1F189),
            _ => false,
        };
    }
}

/// <summary><c>\w+|[^\w\s]+</c>: runs of word characters and runs of neither words nor spaces.</summary>
internal sealed class WordPattern : SplitPattern
{
    public override bool IsLocal => true;

    public override bool SeparatesSpaces => true;

    public override void Find(ReadOnlySpan<char> text, List<SplitMatch> parts)
    {
        int start = 0, kind = -1;
        for (int i = 0, units; i < text.Length; i += units)
        {
            int c = NormalizedText.CodePointAt(text, i, out units);
            int now = CodePointPattern.IsWord(c) ? 1 : CodePointPattern.IsWhiteSpace(c) ? 0 : 2;
            if (now != kind && i > start) parts.Add(new(start, i, kind != 0));
            if (now != kind) (start, kind) = (i, now);
        }

        if (start < text.Length) parts.Add(new(start, text.Length, kind != 0));
    }
}
