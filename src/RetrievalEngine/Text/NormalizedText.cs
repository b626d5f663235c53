using System;
using System.Collections.Generic;
using System.Text;

namespace RetrievalEngine.Text;

/// <summary>
/// A stretch of text while it is normalised: UTF-16 units and, where asked for, for each unit the range of original units it came from.
/// A lone surrogate counts as one code point everywhere. Reused from call to call; not thread-safe.
/// </summary>
internal sealed class NormalizedText
{
    private Buffers _now = new(), _next = new();
    private int _origin;
    private bool _tracked;

    /// <summary>Each unit still stands where it stood: no alignments are stored.</summary>
    private bool _identity;

    /// <summary>The text as normalised so far.</summary>
    public ReadOnlySpan<char> Text => _now.Chars.AsSpan(0, _now.Length);

    /// <summary>The original position where this stretch began.</summary>
    public int Origin => _origin;

    /// <summary>Starts over with <paramref name="source"/>, whose first unit stands at <paramref name="origin"/> of the original text.</summary>
    public void Reset(ReadOnlySpan<char> source, int origin, bool track)
    {
        _now.Reserve(source.Length, aligned: false);
        source.CopyTo(_now.Chars);
        _now.Length = source.Length;
        _origin = origin;
        _tracked = track;
        _identity = true;
    }

    /// <summary>The original range of the normalised units <paramref name="start"/> .. <paramref name="end"/> (not empty).</summary>
    public (int Start, int End) Original(int start, int end) =>
        _identity ? (_origin + start, _origin + end) : (_now.Starts[start], _now.Ends[end - 1]);

    /// <summary>The code point at <paramref name="index"/> and the units it takes; U+FFFD for a lone surrogate.</summary>
    public static int CodePointAt(ReadOnlySpan<char> text, int index, out int units)
    {
        char c = text[index];
        units = 1;
        if (!char.IsSurrogate(c)) return c;
        if (char.IsHighSurrogate(c) && index + 1 < text.Length && char.IsLowSurrogate(text[index + 1]))
        {
            units = 2;
            return char.ConvertToUtf32(c, text[index + 1]);
        }

        return 0xFFFD;
    }

    /// <summary>
    /// Begins a rewriting pass: read <see cref="Text"/>, which stays as it is, and call <see cref="Append"/>, then <see cref="EndEdit"/>.
    /// </summary>
    public void BeginEdit() => _next.Length = 0;

    /// <summary>Appends a code point that stands for the same original text as unit <paramref name="like"/> (-1: the very beginning).</summary>
    public void Append(int codePoint, int like)
    {
        _next.Reserve(_next.Length + 2, _tracked);
        int units = 1;
        if (codePoint < 65536)
        {
            _next.Chars[_next.Length] = (char)codePoint;
        }
        else
        {
            units = new Rune(codePoint).EncodeToUtf16(_next.Chars.AsSpan(_next.Length, 2));
        }

        if (_tracked)
        {
            (int start, int end) = like < 0 ? (_origin, _origin) : Alignment(like);
            for (int i = 0; i < units; i++)
            {
                _next.Starts[_next.Length + i] = start;
                _next.Ends[_next.Length + i] = end;
            }
        }

        _next.Length += units;
    }

    /// <summary>Appends units <paramref name="start"/> .. <paramref name="end"/> unchanged.</summary>
    public void AppendUnchanged(int start, int end)
    {
        _next.Reserve(_next.Length + (end - start), _tracked);
        Text[start..end].CopyTo(_next.Chars.AsSpan(_next.Length));
        if (_tracked)
        {
            for (int i = start; i < end; i++)
            {
                int at = _next.Length + (i - start);
                (_next.Starts[at], _next.Ends[at]) = Alignment(i);
            }
        }

        _next.Length += end - start;
    }

    /// <summary>How many units the running pass has written.</summary>
    public int EditLength => _next.Length;

    /// <summary>Makes what was appended the text.</summary>
    public void EndEdit()
    {
        (_now, _next) = (_next, _now);
        _identity = false;
    }

    /// <summary>
    /// Replaces the text by code points that each carry a change: 0 replaces the next code point, a positive one is inserted and belongs to the
    /// code point before, -n replaces one and swallows n more.
    /// </summary>
    public void Transform(List<(int CodePoint, int Change)> result)
    {
        ReadOnlySpan<char> text = Text;
        BeginEdit();
        int index = 0;
        foreach ((int codePoint, int change) in result)
        {
            Append(codePoint, Math.Min(change > 0 ? index - 1 : index, text.Length - 1));
            for (int take = 1 - change; take > 0 && index < text.Length; take--)
            {
                CodePointAt(text, index, out int units);
                index += units;
            }
        }

        EndEdit();
    }

    private (int Start, int End) Alignment(int index)
    {
        if (!_identity) return (_now.Starts[index], _now.Ends[index]);
        ReadOnlySpan<char> text = Text;
        if (char.IsLowSurrogate(text[index]) && index > 0 && char.IsHighSurrogate(text[index - 1])) index--;
        CodePointAt(text, index, out int units);
        return (_origin + index, _origin + index + units);
    }

    private sealed class Buffers
    {
        public char[] Chars = [];
        public int[] Starts = [], Ends = [];
        public int Length;

        public void Reserve(int length, bool aligned)
        {
            int capacity = Math.Max(64, Math.Max(length, (int)Math.Min(2L * Chars.Length, Array.MaxLength)));
            if (Chars.Length < length) Array.Resize(ref Chars, capacity);
            if (!aligned || Starts.Length >= Chars.Length) return;
            Array.Resize(ref Starts, Chars.Length);
            Array.Resize(ref Ends, Chars.Length);
        }
    }
}
