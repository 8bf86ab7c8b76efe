/* Balls and cones under a directional light, and their normals: hgenv's protocol in C.
 *
 * A request is one line of JSON, of which only "draws" is read here. An answer is one line of JSON with the shapes of
 * image, target and mask, and then their numbers as little-endian floats.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *value_of(const char *line, const char *name) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\": ", name);
    const char *found = strstr(line, key);
    return found ? found + strlen(key) : "0";
}

int main(void) {
    static char line[1 << 16];
    if (!fgets(line, sizeof line, stdin)) return 1;
    int height = atoi(value_of(line, "height")), width = atoi(value_of(line, "width")), size = height * width;
    float *image = malloc(sizeof(float) * 5 * size), *normal = image + size, *mask = image + 4 * size;
    printf("{\"protocol\": \"hgenv 1\"}\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        const char *draws = value_of(line, "draws");
        double radius = atof(value_of(draws, "radius"));
        int is_ball = !strncmp(value_of(draws, "shape"), "\"ball\"", 6);
        char *next;
        double a = strtod(value_of(draws, "light") + 1, &next), b = strtod(next + 1, NULL), l = sqrt(a * a + b * b + 1);
        for (int i = 0; i < size; i++) {
            double x = ((i % width + 0.5) * 2 / width - 1) / radius, y = -((i / width + 0.5) * 2 / height - 1) / radius;
            double r = sqrt(x * x + y * y), z = is_ball ? sqrt(fmax(0, 1 - r * r)) : fmax(r, 1e-6);
            double n = sqrt(x * x + y * y + z * z);
            mask[i] = r < 1;
            normal[i] = mask[i] * x / n, normal[size + i] = mask[i] * y / n, normal[2 * size + i] = mask[i] * z / n;
            image[i] = fmax(0, (a * normal[i] + b * normal[size + i] + normal[2 * size + i]) / l);
        }
        printf("{\"image\": [1, %d, %d], \"target\": [3, %d, %d], \"mask\": [1, %d, %d]}\n", height, width, height, width,
               height, width);
        fwrite(image, sizeof(float), 5 * size, stdout);
        fflush(stdout);
    }
    return 0;
}
