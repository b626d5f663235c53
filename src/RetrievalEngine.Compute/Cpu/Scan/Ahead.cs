using System;

namespace RetrievalEngine.Compute.Cpu.Scan;

/// <summary>
/// Rows that are fetched while others are at hand and meet their queries, so that memory is not idle meanwhile: <paramref name="count"/> times
/// <paramref name="bytes"/>, <paramref name="stride"/> bytes apart, in <paramref name="tiles"/> tiles of <paramref name="steps"/> steps. Any address will do.
/// </summary>
internal unsafe struct Ahead(byte* rows, long stride, long bytes, int count, long tiles, long steps)
{
    private const long Line = 64;
    private int _row;
    private long _offset;

    /// <summary>Bytes that each step of a tile fetches: whole lines, all of a row in as many tiles as there are for it.</summary>
    private readonly long _share = (bytes + Math.Max(1, tiles / Math.Max(1, count)) * steps * Line - 1) / (Math.Max(1, tiles / Math.Max(1, count)) * steps * Line) * Line;

    /// <summary>What the next tile fetches.</summary>
    public void Give(ref Tile tile)
    {
        tile.Next = rows + _row * stride + _offset;
        tile.Share = _row < count ? _share : 0;
        _offset += _share * steps;
        if (_offset < bytes) return;
        (_row, _offset) = (_row + 1, 0);
    }
}
