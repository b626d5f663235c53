using System;
using System.Collections.Generic;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>Where a network's weights come from while it is assembled.</summary>
internal interface IWeightSource : IDisposable
{
    /// <summary>The weights called <paramref name="name"/> of shape <paramref name="shape"/>. What has to be disposed with the network is added to <paramref name="owned"/>.</summary>
    /// <exception cref="InputException">Missing, or of another shape.</exception>
    Tensor Load(IBackend backend, string name, Shape shape, ICollection<IDisposable> owned);

    /// <summary>Called when the network is complete: <paramref name="used"/> are all names that were asked for.</summary>
    /// <exception cref="InputException">There are weights of the backbone that would be ignored.</exception>
    void Complete(IReadOnlySet<string> used);
}
