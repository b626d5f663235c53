using System;
using System.Collections.Generic;

namespace RetrievalEngine.Text;

/// <summary>The tokens of one sequence while it is encoded, and the scratch space for that. Reused; not thread-safe.</summary>
internal sealed class TokenBuffer
{
    private int[] _ids = new int[256];

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

    /// <summary>Starts over.</summary>
    public void Reset(bool track)
    {
        Count = 0;
        Offsets.Clear();
        Tokens.Clear();
        Tracked = track;
    }

    /// <summary>Appends an id.</summary>
    public void Add(int id)
    {
        if (Count == _ids.Length) Array.Resize(ref _ids, Count * 2);
        _ids[Count++] = id;
    }

    /// <summary>Appends a token with its text and original range.</summary>
    public void Add(int id, string token, (int Start, int End) offsets)
    {
        Add(id);
        Tokens.Add(token);
        Offsets.Add(offsets);
    }

    /// <summary>Keeps the first <paramref name="count"/> tokens at most.</summary>
    public void Truncate(int count)
    {
        if (count >= Count) return;
        Count = count;
        if (!Tracked) return;
        Tokens.RemoveRange(count, Tokens.Count - count);
        Offsets.RemoveRange(count, Offsets.Count - count);
    }
}
