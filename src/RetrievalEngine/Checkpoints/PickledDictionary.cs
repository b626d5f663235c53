using System.Collections.Generic;

namespace RetrievalEngine.Checkpoints;

/// <summary>A dictionary: keys are strings or numbers, the last value of a key holds.</summary>
internal sealed class PickledDictionary
{
    private readonly Dictionary<object, object?> _values = [];

    /// <summary>The entries.</summary>
    public IReadOnlyDictionary<object, object?> Values => _values;

    /// <summary>Sets an entry.</summary>
    public void Add(object key, object? value) => _values[key] = value;
}
