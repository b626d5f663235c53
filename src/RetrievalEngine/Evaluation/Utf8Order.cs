using System;
using System.Collections.Generic;

namespace RetrievalEngine.Evaluation;

/// <summary>
/// Orders strings as C's <c>strcmp</c> orders their UTF-8 bytes. UTF-16 code units give the same order except where a surrogate (a character
/// from U+10000 on) meets a unit from U+E000 on: surrogates are the smaller unit but the larger character.
/// </summary>
internal sealed class Utf8Order : IComparer<string>
{
    public static readonly Utf8Order Instance = new();

    public int Compare(string? x, string? y) => Compare(x.AsSpan(), y.AsSpan());

    public static int Compare(ReadOnlySpan<char> x, ReadOnlySpan<char> y)
    {
        int same = x.CommonPrefixLength(y);
        if (same == x.Length || same == y.Length) return x.Length.CompareTo(y.Length);
        char a = x[same], b = y[same];
        bool surrogateA = char.IsSurrogate(a), surrogateB = char.IsSurrogate(b);
        if (surrogateA == surrogateB) return a.CompareTo(b);
        return surrogateA ? 1 : -1;
    }
}
