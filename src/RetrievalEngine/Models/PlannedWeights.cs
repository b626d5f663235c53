using System;
using System.Collections.Generic;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>Weights that take no memory: a network of them tells what a real one would consist of.</summary>
internal sealed class PlannedWeights : IWeightSource
{
    /// <inheritdoc/>
    public Tensor Load(IBackend backend, string name, Shape shape, ICollection<IDisposable> owned)
    {
        NoMemory memory = new(shape.Count * sizeof(float));
        owned.Add(memory);
        return new Tensor(memory, 0, shape, DType.F32);
    }

    /// <inheritdoc/>
    public void Complete(IReadOnlySet<string> used)
    {
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    private sealed class NoMemory(long length) : DeviceMemory(length)
    {
        protected override void Release()
        {
        }
    }
}
