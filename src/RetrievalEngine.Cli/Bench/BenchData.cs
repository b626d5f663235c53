using System;
using System.Collections.Generic;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cli.Bench;

/// <summary>
/// Tensors of random normal values, made on the device: constant data runs faster than a user's. A value is the sum of two from a pool that the host filled,
/// taken at other places of it for each piece of a tensor. What a case took is given back by <see cref="Clear"/>, the pool by <see cref="Dispose"/>.
/// </summary>
internal sealed class BenchData : IDisposable
{
    private const int LargestPiece = 1 << 22, Alignment = 64;
    private readonly Random _random = new(1);
    private readonly Stack<IDisposable> _owned = [];
    private readonly int _piece, _kept;
    private readonly Tensor _pool, _sum;

    /// <summary>Data for tensors of about <paramref name="size"/> elements and more.</summary>
    public BenchData(IBackend backend, long size)
    {
        Backend = backend;
        _piece = (int)Math.Min(LargestPiece, (size + Alignment - 1) / Alignment * Alignment);
        float[] values = new float[4 * _piece];
        // Box and Muller (1958); the sum of two has a variance of 1.
        for (int i = 0; i < values.Length; i += 2)
        {
            double radius = Math.Sqrt(-Math.Log(1 - _random.NextDouble()));
            (double sin, double cos) = Math.SinCos(2 * Math.PI * _random.NextDouble());
            (values[i], values[i + 1]) = ((float)(radius * cos), (float)(radius * sin));
        }

        try
        {
            _pool = New(DType.F32, values.Length);
            _sum = New(DType.F32, _piece);
            _kept = _owned.Count;
            backend.Upload<float>(values, _pool);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Where the tensors are.</summary>
    public IBackend Backend { get; }

    /// <summary>Gives <paramref name="owned"/> back with the rest, the last first.</summary>
    public T Own<T>(T owned)
        where T : IDisposable
    {
        _owned.Push(owned);
        return owned;
    }

    /// <summary>A tensor of undefined contents.</summary>
    public Tensor New(DType dtype, params ReadOnlySpan<long> sizes)
    {
        Shape shape = new(sizes);
        return new Tensor(Own(Backend.Allocate(shape.Count * dtype.Size())), 0, shape, dtype);
    }

    /// <summary>Activations of undefined contents.</summary>
    public Tensor New(params ReadOnlySpan<long> sizes) => New(Backend.ActivationDType, sizes);

    /// <summary>Activations of standard deviation 1.</summary>
    public Tensor Normal(params ReadOnlySpan<long> sizes) => Fill(New(sizes), 1);

    /// <summary>Values of standard deviation <paramref name="deviation"/>.</summary>
    public Tensor Normal(DType dtype, double deviation, params ReadOnlySpan<long> sizes) => Fill(New(dtype, sizes), deviation);

    /// <summary>A matrix that rows of standard deviation 1 are multiplied with, so that their products have it too.</summary>
    public Tensor Weights(long outputs, long inputs) => Normal(Backend.ActivationDType, 1 / Math.Sqrt(inputs), outputs, inputs);

    /// <summary>Every element <paramref name="value"/>, F32.</summary>
    public Tensor Constant(float value, params ReadOnlySpan<long> sizes)
    {
        Tensor tensor = New(DType.F32, sizes);
        Backend.Fill(tensor, value);
        return tensor;
    }

    /// <summary>I32 values.</summary>
    public Tensor Integers(ReadOnlySpan<int> values)
    {
        Tensor tensor = New(DType.I32, values.Length);
        Backend.Upload(values, tensor);
        return tensor;
    }

    /// <summary>I32 values from 0 to <paramref name="below"/> - 1.</summary>
    public int[] Random(int count, int below)
    {
        int[] values = new int[count];
        for (int i = 0; i < values.Length; i++) values[i] = _random.Next(below);
        return values;
    }

    /// <summary>Rows of a vector store; scales only where <paramref name="dtype"/> is I8.</summary>
    public (Tensor Rows, Tensor Scales) Rows(DType dtype, long count, int width)
    {
        if (dtype != DType.I8) return (Normal(dtype, 1, count, width), default);
        Tensor rows = New(DType.I8, count, width), scales = New(DType.F32, count);
        int atOnce = _piece / width;
        for (long first = 0; first < count; first += atOnce)
        {
            long rowsNow = Math.Min(atOnce, count - first);
            Backend.QuantizeRows(Sum(rowsNow * width).Reshape(rowsNow, width), rows.Slice(first, rowsNow), scales.Slice(first, rowsNow));
        }

        return (rows, scales);
    }

    /// <summary>Gives everything back but the pool.</summary>
    public void Clear() => Release(_kept);

    /// <inheritdoc/>
    public void Dispose() => Release(0);

    private void Release(int kept)
    {
        while (_owned.Count > kept) _owned.Pop().Dispose();
    }

    private Tensor Fill(Tensor tensor, double deviation)
    {
        Tensor flat = tensor.Reshape(tensor.Count);
        for (long start = 0; start < flat.Count; start += _piece)
        {
            long count = Math.Min(_piece, flat.Count - start);
            Tensor sum = Sum(count);
            if (deviation != 1) Backend.Scale(sum, (float)deviation, sum);
            Backend.Cast(sum, flat.Slice(start, count));
        }

        return tensor;
    }

    private Tensor Sum(long count)
    {
        int places = (int)((_pool.Count - count) / Alignment) + 1;
        Tensor Part() => _pool.Slice((long)_random.Next(places) * Alignment, count);
        Tensor sum = _sum.Slice(0, count);
        Backend.Add(Part(), Part(), sum);
        return sum;
    }
}
