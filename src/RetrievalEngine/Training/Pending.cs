using System;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Training;

/// <summary>
/// What a step has left on the device and nobody has waited for: one copy brings it over, together with one number of whoever goes on from there. It lies there
/// until the next step.
/// </summary>
/// <param name="Report">[n + 1] F32; the last element is <see cref="Spare"/>.</param>
/// <param name="Read">What the numbers of the report say.</param>
public readonly record struct Pending<T>(Tensor Report, Func<float[], T> Read)
{
    /// <summary>[1]: room for a number of the caller's, which <see cref="Read"/> does not look at.</summary>
    public Tensor Spare => Report.Slice(Report.Count - 1, 1);

    /// <summary>Waits for the device.</summary>
    public T Await(IBackend backend)
    {
        ArgumentNullException.ThrowIfNull(backend);
        return Read(backend.ToArray(Report));
    }

    /// <summary>The same, read further.</summary>
    public Pending<TOther> Select<TOther>(Func<T, TOther> read)
    {
        Func<float[], T> inner = Read;
        return new Pending<TOther>(Report, values => read(inner(values)));
    }
}
