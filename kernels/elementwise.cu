// What happens to elements one by one: casts, sums, scaling, plain and gated activations, forward and backward.
//
//   cast                        y = x                                       4 to 6 bytes an element between 16 and 32 bits
//   add, scale                  y = a + b; y = factor · x                   three, two times the element's size
//   activation                  y = f(x); dx = dy · f'(x)                   two, three times
//   gated activation            y = f(gate) · up                            three times (bf16: 6 bytes; M = 8192, 11008 wide: 541 MB, 0.13 ms on an H200)
//     backward                  dgate = dy · up · f'(gate), dup = dy · f(gate)   five times; f is computed again, nothing is saved
//
// The floor is that traffic. A thread moves eight elements at a time in 16-byte packets; what stands before the first 16-byte border that all tensors share
// (`head` elements: all of them where there is none) and what is left at the end goes element by element. Outputs may take the place of inputs: a thread
// reads all of a packet before it writes.
#include "core/activation.cuh"
#include "core/warp.cuh"

constexpr int kElements = 8;

// Values i … i + N - 1 of x; N = 1, or 8 from a 16-byte border on.
template <int N, class T>
DEVICE void load(float (&values)[N], const T* x, int64_t i) {
    if constexpr (N == 1) {
        values[0] = to_float(x[i]);
    } else {
#pragma unroll
        for (int j = 0; j < N; j += Packet<T>::kCount) {
            Packet<T> packet = load_packet(x + i + j);
#pragma unroll
            for (int p = 0; p < Packet<T>::kCount; p++) values[j + p] = to_float(packet.values[p]);
        }
    }
}
template <int N, class T>
DEVICE void store(T* y, int64_t i, const float (&values)[N]) {
    if constexpr (N == 1) {
        y[i] = from_float<T>(values[0]);
    } else {
#pragma unroll
        for (int j = 0; j < N; j += Packet<T>::kCount) {
            Packet<T> packet;
#pragma unroll
            for (int p = 0; p < Packet<T>::kCount; p++) packet.values[p] = from_float<T>(values[j + p]);
            store_packet(y + i + j, packet);
        }
    }
}

// body(Constant<N>(), i) on elements i … i + N - 1, over all `count`.
template <class Body>
DEVICE void for_elements(int64_t count, int64_t head, const Body& body) {
    int64_t thread = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, threads = (int64_t)gridDim.x * blockDim.x;
    int64_t packets = (count - head) / kElements, rest = count - packets * kElements;
#pragma unroll 1
    for (int64_t i = thread; i < packets; i += threads) body(Constant<kElements>(), head + i * kElements);
#pragma unroll 1
    for (int64_t i = thread; i < rest; i += threads) body(Constant<1>(), i < head ? i : i + packets * kElements);
}

template <class From, class To>
DEVICE void cast(const From* x, To* y, int64_t count, int64_t head) {
    for_elements(count, head, [&](auto n, int64_t i) {
        float values[n.value];
        load(values, x, i);
        store(y, i, values);
    });
}

template <class T>
DEVICE void add(const T* a, const T* b, T* y, int64_t count, int64_t head) {
    for_elements(count, head, [&](auto n, int64_t i) {
        float left[n.value], right[n.value];
        load(left, a, i);
        load(right, b, i);
#pragma unroll
        for (int j = 0; j < n.value; j++) left[j] += right[j];
        store(y, i, left);
    });
}

template <class T>
DEVICE void scale(const T* x, float factor, T* y, int64_t count, int64_t head) {
    for_elements(count, head, [&](auto n, int64_t i) {
        float values[n.value];
        load(values, x, i);
#pragma unroll
        for (int j = 0; j < n.value; j++) values[j] *= factor;
        store(y, i, values);
    });
}

template <class T>
DEVICE void activation_forward(int kind, const T* x, T* y, int64_t count, int64_t head) {
    for_activation(kind, [&](auto f) {
        for_elements(count, head, [&](auto n, int64_t i) {
            float values[n.value];
            load(values, x, i);
#pragma unroll
            for (int j = 0; j < n.value; j++) values[j] = activate<f.value>(values[j]);
            store(y, i, values);
        });
    });
}

template <class T>
DEVICE void activation_backward(int kind, const T* dy, const T* x, T* dx, int64_t count, int64_t head) {
    for_activation(kind, [&](auto f) {
        for_elements(count, head, [&](auto n, int64_t i) {
            float gradients[n.value], values[n.value];
            load(gradients, dy, i);
            load(values, x, i);
#pragma unroll
            for (int j = 0; j < n.value; j++) {
                float slope;
                activate<f.value>(values[j], slope);
                gradients[j] *= slope;
            }
            store(dx, i, gradients);
        });
    });
}

template <class T>
DEVICE void gated_activation_forward(int kind, const T* gate, const T* up, T* y, int64_t count, int64_t head) {
    for_activation(kind, [&](auto f) {
        for_elements(count, head, [&](auto n, int64_t i) {
            float gates[n.value], ups[n.value];
            load(gates, gate, i);
            load(ups, up, i);
#pragma unroll
            for (int j = 0; j < n.value; j++) ups[j] *= activate<f.value>(gates[j]);
            store(y, i, ups);
        });
    });
}

template <class T>
DEVICE void gated_activation_backward(int kind, const T* dy, const T* gate, const T* up, T* dgate, T* dup, int64_t count, int64_t head) {
    for_activation(kind, [&](auto f) {
        for_elements(count, head, [&](auto n, int64_t i) {
            float gradients[n.value], gates[n.value], ups[n.value];
            load(gradients, dy, i);
            load(gates, gate, i);
            load(ups, up, i);
#pragma unroll
            for (int j = 0; j < n.value; j++) {
                float slope, value = activate<f.value>(gates[j], slope);
                gates[j] = gradients[j] * ups[j] * slope;
                ups[j] = gradients[j] * value;
            }
            store(dgate, i, gates);
            store(dup, i, ups);
        });
    });
}

#define CAST(From, To) \
    KERNEL(cast_##From##_##To, 256, 4, const From* x, To* y, int64_t count, int64_t head) { cast(x, y, count, head); }
CAST(f32, f16)
CAST(f32, bf16)
CAST(f16, f32)
CAST(f16, bf16)
CAST(bf16, f32)
CAST(bf16, f16)

#define ELEMENTWISE(T) \
    KERNEL(add_##T, 256, 4, const T* a, const T* b, T* y, int64_t count, int64_t head) { add(a, b, y, count, head); } \
    KERNEL(scale_##T, 256, 4, const T* x, float factor, T* y, int64_t count, int64_t head) { scale(x, factor, y, count, head); } \
    KERNEL(activation_forward_##T, 256, 3, int kind, const T* x, T* y, int64_t count, int64_t head) { activation_forward(kind, x, y, count, head); } \
    KERNEL(activation_backward_##T, 256, 3, int kind, const T* dy, const T* x, T* dx, int64_t count, int64_t head) { \
        activation_backward(kind, dy, x, dx, count, head); \
    } \
    KERNEL(gated_activation_forward_##T, 256, 3, int kind, const T* gate, const T* up, T* y, int64_t count, int64_t head) { \
        gated_activation_forward(kind, gate, up, y, count, head); \
    } \
    KERNEL(gated_activation_backward_##T, 256, 3, int kind, const T* dy, const T* gate, const T* up, T* dgate, T* dup, int64_t count, int64_t head) { \
        gated_activation_backward(kind, dy, gate, up, dgate, dup, count, head); \
    }
ELEMENTWISE(f32)
ELEMENTWISE(f16)
ELEMENTWISE(bf16)
