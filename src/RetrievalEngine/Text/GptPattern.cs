using System;
using System.Collections.Generic;
using System.Globalization;

namespace RetrievalEngine.Text;

/// <summary>
/// The split patterns of GPT-2 (which byte-level pre-tokenisers mean) and of Llama 3 and Qwen2, scanned by hand: the hot path of tokenization.
/// Every text is covered by matches. Between a non-space and a following space there is always a boundary, so text may be read in stretches.
/// </summary>
internal sealed class GptPattern : SplitPattern
{
    private const string Gpt2Regex = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
    private const string ModernHead = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|";
    private const string ModernTail = @"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private const byte Other = 0, Letter = 1, Number = 2, Space = 3, Surrogate = 4;
    private static readonly byte[] _kinds = MakeKinds();

    /// <summary>How many digits one piece may hold; 0 for GPT-2's pattern, where there is no limit and all else differs as well.</summary>
    private readonly int _digits;

    private GptPattern(int digits, string regex) => (_digits, Regex) = (digits, regex);

    /// <summary>GPT-2's pattern.</summary>
    public static GptPattern Gpt2 { get; } = new(0, Gpt2Regex);

    /// <summary>Qwen2's pattern.</summary>
    public static GptPattern Qwen2 { get; } = new(1, ModernHead + @"\p{N}" + ModernTail);

    /// <summary>Llama 3's pattern.</summary>
    public static GptPattern Llama3 { get; } = new(3, ModernHead + @"\p{N}{1,3}" + ModernTail);

    /// <summary>The pattern as it is written in a <c>tokenizer.json</c>.</summary>
    public string Regex { get; }

    public override bool IsLocal => true;

    public override bool SeparatesSpaces => true;

    /// <summary>The scanner of a known pattern, else null.</summary>
    public static GptPattern? TryCreate(string regex) => Array.Find([Gpt2, Qwen2, Llama3], known => known.Regex == regex);

    public override void Find(ReadOnlySpan<char> text, List<SplitMatch> parts)
    {
        for (int i = 0; i < text.Length;)
        {
            int end = Next(text, i);
            parts.Add(new(i, end, IsMatch: true));
            i = end;
        }
    }

    /// <summary>Appends the pieces of <paramref name="text"/>, which begins at <paramref name="offset"/>, to <paramref name="pieces"/>.</summary>
    public void Split(ReadOnlySpan<char> text, int offset, List<TextPiece> pieces)
    {
        for (int i = 0; i < text.Length;)
        {
            int end = Next(text, i);
            pieces.Add(new(offset + i, offset + end));
            i = end;
        }
    }

    /// <summary>Where the piece that starts at <paramref name="i"/> ends.</summary>
    private int Next(ReadOnlySpan<char> text, int i) => _digits == 0 ? NextGpt2(text, i) : NextModern(text, i);

    private static int NextGpt2(ReadOnlySpan<char> text, int i)
    {
        char c = text[i];
        if (c == '\'' && Contraction(text, i, ignoreCase: false) is > 0 and int length) return i + length;
        int start = c == ' ' && i + 1 < text.Length ? i + 1 : i;
        byte kind = KindAt(text, start, out int units);
        if (kind != Space) return Run(text, start + units, kind);
        int end = SpaceRun(text, i, out _);
        return end == text.Length || end - i == 1 ? end : end - 1;
    }

    private int NextModern(ReadOnlySpan<char> text, int i)
    {
        char c = text[i];
        if (c == '\'' && Contraction(text, i, ignoreCase: true) is > 0 and int length) return i + length;
        byte kind = KindAt(text, i, out int units);
        if (kind == Letter) return Run(text, i + units, Letter);
        if (kind == Number)
        {
            int stop = i + units;
            for (int n = 1; n < _digits && stop < text.Length && KindAt(text, stop, out units) == Number; n++) stop += units;
            return stop;
        }

        byte next = Space;
        int after = i + units, nextUnits = 0;
        if (after < text.Length) next = KindAt(text, after, out nextUnits);
        if (next == Letter && c is not ('\r' or '\n')) return Run(text, after + nextUnits, Letter);
        if (kind == Other || (c == ' ' && next == Other))
        {
            int stop = Run(text, after, Other);
            while (stop < text.Length && text[stop] is '\r' or '\n') stop++;
            return stop;
        }

        int end = SpaceRun(text, i, out int lineEnd);
        if (lineEnd > 0) return lineEnd;
        return end == text.Length || end - i == 1 ? end : end - 1;
    }

    /// <summary>The end of the run of <paramref name="kind"/> that goes on at <paramref name="i"/>.</summary>
    private static int Run(ReadOnlySpan<char> text, int i, byte kind)
    {
        byte[] kinds = _kinds;
        while (i < text.Length)
        {
            byte k = kinds[text[i]];
            int units = 1;
            if (k == Surrogate) k = KindAt(text, i, out units);
            if (k != kind) break;
            i += units;
        }

        return i;
    }

    /// <summary>The end of the white space at <paramref name="i"/>, and just behind its last line break (0: none).</summary>
    private static int SpaceRun(ReadOnlySpan<char> text, int i, out int lineEnd)
    {
        lineEnd = 0;
        for (; i < text.Length && _kinds[text[i]] == Space; i++)
        {
            if (text[i] is '\r' or '\n') lineEnd = i + 1;
        }

        return i;
    }

    /// <summary>The length of 's, 't, 're, 've, 'm, 'll or 'd at <paramref name="i"/>, else 0.</summary>
    private static int Contraction(ReadOnlySpan<char> text, int i, bool ignoreCase)
    {
        if (i + 1 >= text.Length) return 0;
        char a = text[i + 1], b = i + 2 < text.Length ? text[i + 2] : '\0';
        if (ignoreCase)
        {
            // The long s folds to s.
            a = a == 'ſ' ? 's' : char.IsAsciiLetterUpper(a) ? (char)(a | 32) : a;
            b = char.IsAsciiLetterUpper(b) ? (char)(b | 32) : b;
        }

        return (a, b) switch
        {
            ('s' or 't' or 'm' or 'd', _) => 2,
            ('r' or 'v', 'e') or ('l', 'l') => 3,
            _ => 0,
        };
    }

    private static byte KindAt(ReadOnlySpan<char> text, int i, out int units)
    {
        byte kind = _kinds[text[i]];
        units = 1;
        return kind != Surrogate ? kind : Kind(CharUnicodeInfo.GetUnicodeCategory(NormalizedText.CodePointAt(text, i, out units)));
    }

    private static byte Kind(UnicodeCategory category) => category switch
    {
        <= UnicodeCategory.OtherLetter => Letter,
        UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Number,
        _ => Other,
    };

    private static byte[] MakeKinds()
    {
        byte[] kinds = new byte[65536];
        for (int c = 0; c < kinds.Length; c++)
        {
            kinds[c] = char.IsSurrogate((char)c) ? Surrogate : char.IsWhiteSpace((char)c) ? Space : Kind(char.GetUnicodeCategory((char)c));
        }

        return kinds;
    }
}
