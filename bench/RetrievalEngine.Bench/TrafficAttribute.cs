using System;

namespace RetrievalEngine.Bench;

/// <summary>Bytes that one call must read and write at least; the column GB/s divides them by the median time.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class TrafficAttribute(long bytes) : Attribute
{
    public long Bytes { get; } = bytes;
}
