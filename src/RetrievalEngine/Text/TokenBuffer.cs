using System;
using System.Collections.Generic;

namespace RetrievalEngine.Text;

/// <summary>The tokens of one sequence while it is encoded, and the scratch space for that. Reused; not thread-safe.</summary>
internal sealed class TokenBuffer
{
    private const int Slack = 4096;
    private int[] _ids = new int[256];
    private int _last;

    /// <summary>How many tokens there are.</summary>
    public int Count { get; private set; }

    /// <summary>The ids.</summary>
    public ReadOnlySpan<int> Ids => _ids.AsSpan(0, Count);

    /// <summary>Where <see cref="Tracked"/>: each token's original range, in UTF-16 units.</summary>
    public List<(int Start, int End)> Offsets { get; } = [];

    /// <summary>Where <see cref="Tracked"/>: each token's text as the vocabulary has it, or as found for added tokens.</summary>
    public List<string> Tokens { get; } = [];

    /// <summary>Whether offsets and token texts are kept.</summary>
    public bool Tracked { get; private set; }

    public NormalizedText Text { get; } = new();

    public PieceLists Pieces { get; } = new();

    public List<TokenSpan> Spans { get; } = [];

    /// <summary>Starts over. With <paramref name="last"/>, no more tokens than about twice that many are held: the first ones are let go.</summary>
    public void Reset(bool track, int last = int.MaxValue)
    {
        Count = 0;
        _last = last;
        Offsets.Clear();
        Tokens.Clear();
        Tracked = track;
    }

    /// <summary>Appends an id.</summary>
    public void Add(int id)
    {
        if (Count == _ids.Length)
        {
            // Before the text and offset of this token come in.
            if (_last < (Count - Slack) / 2) Truncate(_last, TruncationSide.Left);
            else Array.Resize(ref _ids, Count * 2);
        }

        _ids[Count++] = id;
    }

    /// <summary>Appends a token with its text and original range.</summary>
    public void Add(int id, string token, (int Start, int End) offsets)
    {
        Add(id);
        Tokens.Add(token);
        Offsets.Add(offsets);
    }

    /// <summary>Keeps <paramref name="count"/> tokens at most: those of the side that is not truncated.</summary>
    public void Truncate(int count, TruncationSide side)
    {
        if (count >= Count) return;
        int drop = Count - count, from = side == TruncationSide.Left ? 0 : count;
        if (side == TruncationSide.Left) _ids.AsSpan(drop, count).CopyTo(_ids);
        Count = count;
        if (!Tracked) return;
        Tokens.RemoveRange(from, drop);
        Offsets.RemoveRange(from, drop);
    }
}
